"""The row of the v1 contract."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import md5
from typing import Any

from buddy.memory import payload
from buddy.memory.errors import InvalidMemoryError
from buddy.memory.storage.validation import check_user


@dataclass
class MemoryRow:
    """One memory of one user, as version 1 of the API sees it.

    ``memory`` is a JSON object. A missing ``id`` becomes ``content_id(memory, user_id)``, so that
    equal content of one user has one id. A ``user_id`` of None is nobody. ``version`` and
    ``expires_at`` are set by the store; times come back aware, in UTC.
    """

    memory: dict[str, Any]
    user_id: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    id: str | None = None
    version: int | None = None
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        if self.id is None:
            # What cannot be stored is refused by the write; a row that is only held is fine.
            with suppress(InvalidMemoryError):
                self.id = content_id(self.memory, self.user_id)


class StoredMemoryRow(MemoryRow):
    """A MemoryRow as a database returns it: its id, times and version are never None."""

    id: str  # pyright: ignore[reportIncompatibleVariableOverride]
    created_at: datetime  # pyright: ignore[reportIncompatibleVariableOverride]
    updated_at: datetime  # pyright: ignore[reportIncompatibleVariableOverride]
    version: int  # pyright: ignore[reportIncompatibleVariableOverride]


def content_id(memory: dict[str, Any], user_id: str | None = None) -> str:
    """Return the md5 (32 hexadecimal digits) of the canonical JSON of memory and user_id.

    Every character counts, blanks included. Raises InvalidMemoryError when the memory cannot be
    stored.
    """
    content = {"memory": payload.encode(memory), "user_id": check_user(user_id)}
    return md5(payload.canonical_json(content).encode(), usedforsecurity=False).hexdigest()
