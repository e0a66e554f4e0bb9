"""Errors after a part of a call was done: they say what is stored."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager

from buddy.memory.errors import MemoryDbError
from buddy.memory.v2.schema import UserMemory


@contextmanager
def after_storing(memories: Sequence[UserMemory]) -> Generator[None]:
    """Have an error inside name ``memories`` as stored: in ``stored`` where it is one of ours, in
    a note of any other."""
    try:
        yield
    except Exception as error:
        if not memories:
            raise
        if isinstance(error, MemoryDbError):
            error.stored = (*[(m.user_id, m.memory_id or "") for m in memories], *error.stored)
        else:
            # What add_note does, which Python 3.10 lacks.
            notes: list[str] = getattr(error, "__notes__", [])
            text = f"{len(memories)} memories of this call were stored before."
            error.__notes__ = [*notes, text]  # type: ignore[attr-defined]
        raise
