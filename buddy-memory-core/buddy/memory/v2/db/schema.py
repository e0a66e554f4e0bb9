"""The rows of the v2 contract."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4


@dataclass
class MemoryRow:
    """One memory of one user.

    ``memory`` is a JSON object. A missing ``id`` becomes a fresh uuid, so writing the same row
    object twice leaves one row. ``version`` is set by the store; times come back aware, in UTC.
    """

    memory: dict[str, Any]
    id: str | None = None
    user_id: str | None = None
    last_updated: datetime | None = None
    created_at: datetime | None = None
    version: int | None = None

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

    def __post_init__(self) -> None:
        if self.id is None:
            self.id = str(uuid4())
