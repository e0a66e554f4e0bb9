"""The synchronous contract that both versions of the API share; only the row differs.

Public classes: ``buddy.memory.db.MemoryDb`` (v1) and ``buddy.memory.v2.db.base.MemoryDb`` (v2).
Errors are those of ``buddy.memory.errors``; any method may raise UnavailableError, AccessError,
SchemaError and ClosedError, so an empty answer always means that the backend answered.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from buddy.memory.storage import defaults
from buddy.memory.storage.checks import check_pages
from buddy.memory.storage.run import run

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from buddy.memory.v2.db.schema import SummaryRow

RowT = TypeVar("RowT")

PAGE_SIZE = 500
"""Rows that the ``iter_…`` methods fetch at a time unless told otherwise."""


class MemoryContract(ABC, Generic[RowT]):
    """What a memory database does. An author implements the abstract methods; the rest follows."""

    # --- the store as a whole

    @abstractmethod
    def create(self) -> None:
        """Make the tables. Does nothing when they exist; safe from any number of processes."""

    @abstractmethod
    def table_exists(self) -> bool:
        """Tell whether the tables were made."""

    @abstractmethod
    def drop_table(self) -> None:
        """Remove the tables of this store with everything in them, and nothing else."""

    @abstractmethod
    def clear(self) -> bool:
        """Delete every row of this store, memories and summaries. True when that is done."""

    def upgrade(self) -> None:
        """Bring tables made by an older release up to date, losing nothing. Safe to repeat."""

    def ping(self) -> None:
        """Return when the backend answered; raise when it did not."""
        self.table_exists()

    def close(self) -> None:
        """Give back what this object opened. Safe to repeat; other calls raise afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """Open the database that ``url`` names; options win over the URL's parameters.

        Raises ConfigError when something in it is wrong. Does no I/O.
        """
        from buddy.memory.options import build

        return build(cls, url, options)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings, without secrets."""
        return {"name": type(self).__name__}

    # --- memories

    @abstractmethod
    def memory_exists(self, memory: RowT) -> bool:
        """Tell whether the id of ``memory`` is stored (for its user, if it names one)."""

    @abstractmethod
    def read_memories(
        self, user_id: str | None = None, limit: int | None = None, sort: str | None = None
    ) -> list[RowT]:
        """Return rows in the order of first writing.

        ``user_id`` None reads all users; ``limit`` None reads all rows, N the first N in the
        asked order; ``sort`` is "desc" (newest first, also None) or "asc". ``[]`` when there is
        nothing, also when the tables were never made.
        """

    @abstractmethod
    def upsert_memory(self, memory: RowT) -> RowT:
        """Insert the row, or replace the content of the one with its id; return what is stored.

        Backends of this project also take ``if_version`` (the version that must be stored; 0:
        none). Raises InvalidMemoryError, TooLargeError, OwnerMismatchError, ConflictError.
        """

    def upsert_memories(self, memories: Iterable[RowT]) -> list[RowT]:
        """Upsert any number of rows; return what is stored, in the same order.

        Stores all, or raises with the ids that are stored in ``error.stored_ids``. An id given
        twice is written once, with the later content.
        """
        return run(defaults.upsert_memories(defaults.Awaiting(self), memories))

    def read_memory(self, id: str, *, user_id: str | None = None) -> RowT | None:
        """Return the row (of that user), or None. Raises CorruptMemoryError when unreadable."""
        row: RowT | None = run(defaults.read_memory(defaults.Awaiting(self), id, user_id))
        return row

    def iter_memories(
        self, user_id: str | None = None, sort: str | None = None, page_size: int = PAGE_SIZE
    ) -> Iterator[RowT]:
        """Yield what ``read_memories`` would return, ``page_size`` rows in memory at a time.

        Rows written meanwhile may or may not be seen; no other row is skipped or repeated.
        """
        check_pages(user_id, sort, page_size)
        return iter(self.read_memories(user_id=user_id, sort=sort))

    def count_memories(self, user_id: str | None = None) -> int:
        """Return the number of rows (of that user)."""
        return run(defaults.count_memories(defaults.Awaiting(self), user_id))

    def delete_memories(self, ids: Iterable[str], *, user_id: str | None = None) -> int:
        """Delete the rows with these ids (of that user); return how many there were."""
        return run(defaults.delete_memories(defaults.Awaiting(self), ids, user_id))

    def delete_user(self, user_id: str) -> dict[str, int]:
        """Delete everything of a user; return ``{"memories": n, "summaries": m}``."""
        return run(defaults.delete_user(defaults.Awaiting(self), user_id))

    # --- session summaries: as memories, where the id is the session id

    def upsert_summary(self, summary: SummaryRow, *, if_version: int | None = None) -> SummaryRow:
        """As ``upsert_memory``."""
        raise defaults.no_summaries(self)

    def upsert_summaries(self, summaries: Iterable[SummaryRow]) -> list[SummaryRow]:
        """As ``upsert_memories``."""
        raise defaults.no_summaries(self)

    def read_summary(self, session_id: str, *, user_id: str | None = None) -> SummaryRow | None:
        """As ``read_memory``."""
        raise defaults.no_summaries(self)

    def read_summaries(
        self, user_id: str | None = None, limit: int | None = None, sort: str | None = None
    ) -> list[SummaryRow]:
        """As ``read_memories``."""
        raise defaults.no_summaries(self)

    def iter_summaries(
        self, user_id: str | None = None, sort: str | None = None, page_size: int = PAGE_SIZE
    ) -> Iterator[SummaryRow]:
        """As ``iter_memories``."""
        raise defaults.no_summaries(self)

    def count_summaries(self, user_id: str | None = None) -> int:
        """As ``count_memories``."""
        raise defaults.no_summaries(self)

    def delete_summary(
        self, session_id: str, *, user_id: str | None = None, if_version: int | None = None
    ) -> bool:
        """Delete one summary; True when there was one."""
        raise defaults.no_summaries(self)

    def delete_summaries(self, session_ids: Iterable[str], *, user_id: str | None = None) -> int:
        """As ``delete_memories``."""
        raise defaults.no_summaries(self)
