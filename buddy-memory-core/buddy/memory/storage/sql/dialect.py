"""What differs between SQL engines: types, keys, the upsert construct, and what errors mean."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from buddy.memory import payload
from buddy.memory.errors import MemoryDbError
from buddy.memory.storage import clock
from buddy.memory.storage.sql.connector import Query

_UTC = "+00:00"


class Fault(Enum):
    """Faults that the store handles itself instead of raising."""

    NO_TABLE = "the table does not exist"
    NO_COLUMN = "the table has other columns"
    DAMAGED_ROW = "a column holds bytes that are not text, or a number or time out of range"
    EXISTS = "another client made the table a moment ago"
    SERIALIZATION = "transaction rolled back by a conflict; safe to retry"


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

    bulk_keys: int = 1000
    """Keys or ids of one SELECT."""

    deleted_rows: int | None = None
    """Rows of a user that one transaction deletes; None: all. For engines on which a deletion
    keeps all other writers waiting."""

    max_bytes: int
    """The largest payload that the engine stores, in bytes."""

    id_type: sa.types.TypeEngine[Any] = sa.Text()
    """The column type of ids; it must tell any two strings apart."""

    user_type: sa.types.TypeEngine[Any] = sa.Text()
    """The column type of users; it must also compare by code point."""

    payload_type: sa.types.TypeEngine[Any] = sa.Text()
    """The column type of what ``dump`` returns."""

    time_type: sa.types.TypeEngine[Any] = sa.DateTime()
    """The column type of what ``dump_time`` returns; it must keep microseconds."""

    vector_type: sa.types.TypeEngine[Any] = sa.LargeBinary()
    """The column type of vectors, which the driver takes and returns as bytes."""

    stamp_column: bool = True
    """Whether tables have a column of stamps. Without one, ``Statements.stamp`` computes it."""

    max_name_bytes: int | None = None
    """The longest name of a table, or None when there is no limit."""

    @property
    @abstractmethod
    def insert(self) -> Callable[[sa.Table], Any]:
        """The engine's own ``insert`` construct, with ``on_conflict_do_update``."""

    @abstractmethod
    def translate(self, error: Exception) -> MemoryDbError | Fault | None:
        """Return what a driver's error means, or None when it is none of the driver's."""

    @abstractmethod
    def generation(self, table: sa.Table) -> Query:
        """Return the query for a token that differs between a table and the one made after it was
        dropped: the default of the column ``stamp``, drawn for each table, or the table's own id.
        """

    def position(self) -> sa.Column[Any]:
        """Return the column of positions: counted up by the database, so that the order needs no
        clock (R3)."""
        # On SQLite a plain Integer with sqlite_autoincrement: no position is used twice.
        kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
        return sa.Column("seq", kind, primary_key=True, autoincrement=True)

    def keys(self, table_name: str) -> list[sa.schema.SchemaItem]:
        """Return what keeps a user's ids unique, what lists a user's rows in order without sorting,
        and what finds the rows that have an end: all of them, and those of one user."""
        has_end = sa.text("expires_at IS NOT NULL")
        return [
            # The id first: it also serves reads by id alone.
            sa.UniqueConstraint("id", "user_id"),
            sa.UniqueConstraint("user_id", "seq"),
            sa.Index(f"ix_{table_name}_expires_at", "expires_at", sqlite_where=has_end),
            sa.Index(f"ix_{table_name}_user_end", "user_id", "expires_at", sqlite_where=has_end),
        ]

    @abstractmethod
    def clock(self) -> Any:
        """Return the expression of the current time, to compare ends with."""

    def dump_ttl(self, ttl: timedelta) -> Any:
        """Return what ``in_future`` takes for a duration."""
        return self.dump_time(clock.utc_now() + ttl)

    def in_future(self, ttl: Any) -> Any:
        """Return the expression of the end that comes so much later than now; by default the
        machine's clock has told it already."""
        return ttl

    def skip_locked(self, query: Any) -> Any:
        """Return a query that leaves out the rows that others are changing, where there are
        locks of rows."""
        return query

    def as_read(self, column: sa.Column[Any]) -> Any:
        """Return how a column of a row is selected."""
        return column

    def as_read_damaged(self, column: sa.Column[Any]) -> Any:
        """Return how it is selected after a row made the driver fail (``Fault.DAMAGED_ROW``)."""
        return sa.cast(column, sa.LargeBinary)

    def as_read_unless_text(self, column: Any) -> Any:
        """Return how a column that holds no text is selected then: where it holds some all the
        same, as a value that it cannot have."""
        return column

    def legacy_key(self, table: sa.Table) -> Any:
        """Return the column that orders and names the rows of a table of older software."""
        return table.c.id

    def dump(self, value: dict[str, Any]) -> Any:
        """Return a payload as the driver takes it."""
        return payload.to_json(value)

    def load(self, value: Any) -> dict[str, Any]:
        """Return the payload that the driver gave; ValueError or TypeError when it is none."""
        return payload.from_json(value)

    def dump_time(self, time: datetime) -> Any:
        """Return a UTC time as the driver takes it."""
        return _time_text(time)

    def load_time(self, value: Any) -> datetime:
        """Return the UTC time that the driver gave; ValueError or TypeError when it is none."""
        # Setting the offset afterwards takes six times as long.
        return datetime.fromisoformat(value + _UTC)


@lru_cache(maxsize=16)  # The rows of a bulk write mostly share theirs.
def _time_text(time: datetime) -> str:
    return time.isoformat(" ", "microseconds").removesuffix(_UTC)
