"""What differs between SQL engines: types, the upsert construct, and what their errors mean."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime, timezone
from enum import Enum
from typing import Any

import sqlalchemy as sa
from buddy.memory import payload
from buddy.memory.errors import MemoryDbError


class Fault(Enum):
    """Faults that the store handles itself instead of raising."""

    NO_TABLE = "the table does not exist"
    NO_COLUMN = "the table has other columns"
    NOT_TEXT = "a column holds bytes that are no text"


class SqlDialect(ABC):
    """One SQL engine that has ``INSERT … ON CONFLICT DO UPDATE … RETURNING``.

    The defaults suit engines that keep times and JSON as text.
    """

    name: str
    """What errors call the engine."""

    begin: str = "BEGIN"
    """The statement that starts a transaction on an autocommitting connection."""

    ping: str = "SELECT 1"
    """The cheapest statement that proves that the database answers."""

    bulk_rows: int = 200
    """Rows of one INSERT in a bulk write."""

    max_bytes: int
    """The largest payload that the engine stores, in bytes."""

    id_type: sa.types.TypeEngine[Any] = sa.Text()
    payload_type: sa.types.TypeEngine[Any] = sa.Text()
    time_type: sa.types.TypeEngine[Any] = sa.DateTime()

    @property
    @abstractmethod
    def insert(self) -> Callable[[sa.Table], Any]:
        """The engine's own ``insert`` construct, with ``on_conflict_do_update``."""

    @abstractmethod
    def translate(self, error: Exception) -> MemoryDbError | Fault | None:
        """Return what a driver's error means, or None when it is none of the driver's."""

    def dump(self, value: dict[str, Any]) -> Any:
        """Return a payload as the driver takes it."""
        return payload.to_json(value)

    def load(self, value: Any) -> dict[str, Any]:
        """Return the payload that the driver gave; ValueError or TypeError when it is none."""
        return payload.from_json(value)

    def dump_time(self, time: datetime) -> Any:
        """Return a UTC time as the driver takes it."""
        return time.replace(tzinfo=None).isoformat(" ", "microseconds")

    def load_time(self, value: Any) -> datetime:
        """Return the UTC time that the driver gave; ValueError or TypeError when it is none."""
        return datetime.fromisoformat(value).replace(tzinfo=timezone.utc)
