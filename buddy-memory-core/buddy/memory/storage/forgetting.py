"""How ``forget_user`` erases: what was erased is told, whatever goes wrong behind it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from buddy.memory.config import redact
from buddy.memory.errors import MemoryDbError
from buddy.memory.receipt import Receipt, show
from buddy.memory.storage import clock
from buddy.memory.storage.self_description import Place

Step = Callable[[], Awaitable[int]]
"""Counts or deletes rows of the user; returns how many there are, or were."""


class Rows(NamedTuple):
    """The user's rows of one kind, as what counts and what deletes them."""

    count_rows: Step
    delete_rows: Step


class _Stopped(Exception):
    """Something was erased, and the rest could not be; ``erased`` is None where not known."""

    def __init__(self, erased: int | None, reason: MemoryDbError) -> None:
        self.erased, self.reason = erased, reason


async def forget(
    user_id: str | None,
    place: Place,
    *,
    memories: Rows,
    summaries: Rows | None,
    delete_legacy: Step,
    look: Step,
) -> Receipt:
    """Delete all rows of a user, tell the plugins, and return what was done.

    ``look`` counts what is left afterwards. Raises what goes wrong before anything was deleted;
    behind that it is the reason of a receipt that is not verified.
    """
    erased: dict[str, int | None] = {"memories": 0, "summaries": 0, "legacy": 0}
    remaining, reason, name = None, "", "memories"
    try:
        erased[name] = await _erase(memories, is_first=True)
        if summaries is not None:
            name = "summaries"
            erased[name] = await _erase(summaries, is_first=False)
        name = "legacy"
        erased[name] = await delete_legacy()
        remaining = await look()
    except _Stopped as stopped:
        erased[name], reason = stopped.erased, _text(stopped.reason)
    except MemoryDbError as error:
        if name == "memories":
            raise
        reason = _text(error)
    if remaining:
        reason = "rows of this user were written meanwhile, or could not be erased"
    receipt = Receipt(
        user_id,
        place.store,
        clock.utc_now(),
        erased["memories"],
        None if summaries is None else erased["summaries"],
        erased["legacy"] or 0,
        remaining,
        reason,
        summaries is not None,
        place.versions,
    )
    show(receipt)
    return receipt


async def _erase(rows: Rows, *, is_first: bool) -> int:
    """Delete rows. Deletions in several steps may fail between them: then what is gone is told by
    what is left. Raises the error itself where nothing was deleted yet."""
    before = await rows.count_rows()
    try:
        return await rows.delete_rows()
    except MemoryDbError as error:
        try:
            left = await rows.count_rows()
        except MemoryDbError:
            raise _Stopped(None, error) from error
        if is_first and left == before:
            raise
        raise _Stopped(max(before - left, 0), error) from error


def _text(error: MemoryDbError) -> str:
    return redact(" ".join(str(error).split()))
