"""Rows as version 2 of the API sees them, and what both versions take as a row.

``buddy.memory.v2.db.schema`` is the documented path of the classes; version 1 has its own memory
row in ``buddy.memory.row``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import uuid4


class RowLike(Protocol):
    """What an upsert takes as a memory: any object with these attributes.

    ``memory`` is a JSON object, or what ``buddy.memory.payload`` turns into one. Where there are
    ``created_at`` and ``updated_at`` (or ``last_updated``), they are the times of a first write. A
    missing id (None) is made, and set on the object where that can be done.
    """

    @property
    def id(self) -> str | None: ...
    @property
    def user_id(self) -> str | None: ...
    @property
    def memory(self) -> Any: ...


class SummaryLike(Protocol):
    """What an upsert takes as a summary; ``id`` is the session id. Otherwise as RowLike."""

    @property
    def id(self) -> str | None: ...
    @property
    def user_id(self) -> str | None: ...
    @property
    def summary(self) -> Any: ...


@dataclass
class MemoryRow:
    """One memory of one user.

    ``memory`` is a JSON object. A ``user_id`` of None is nobody. A missing ``id`` becomes a fresh
    uuid, so writing the same row object twice leaves one row. ``version`` and ``expires_at`` are
    set by the store; times come back aware, in UTC.
    """

    memory: dict[str, Any]
    id: str | None = None
    user_id: str | None = None
    last_updated: datetime | None = None
    created_at: datetime | None = None
    version: int | None = None
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        if self.id is None:
            self.id = str(uuid4())


@dataclass
class SummaryRow:
    """The summary of one session; ``id`` is the session id. Otherwise like MemoryRow."""

    summary: dict[str, Any]
    id: str | None = None
    user_id: str | None = None
    last_updated: datetime | None = None
    created_at: datetime | None = None
    version: int | None = None
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        if self.id is None:
            self.id = str(uuid4())


# Of a row that was read everything is known. A checker may not narrow what can be assigned to, so
# it is told to accept that here, once.


class StoredMemoryRow(MemoryRow):
    """A MemoryRow as a database returns it: its id, times and version are never None."""

    id: str  # pyright: ignore[reportIncompatibleVariableOverride]
    last_updated: datetime  # pyright: ignore[reportIncompatibleVariableOverride]
    created_at: datetime  # pyright: ignore[reportIncompatibleVariableOverride]
    version: int  # pyright: ignore[reportIncompatibleVariableOverride]


class StoredSummaryRow(SummaryRow):
    """A SummaryRow as a database returns it: its id, times and version are never None."""

    id: str  # pyright: ignore[reportIncompatibleVariableOverride]
    last_updated: datetime  # pyright: ignore[reportIncompatibleVariableOverride]
    created_at: datetime  # pyright: ignore[reportIncompatibleVariableOverride]
    version: int  # pyright: ignore[reportIncompatibleVariableOverride]
