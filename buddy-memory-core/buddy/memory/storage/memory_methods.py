"""The synchronous contract that both versions of the API share; only the row differs.

Public classes: ``buddy.memory.db.MemoryDb`` (v1) and ``buddy.memory.v2.db.base.MemoryDb`` (v2).
Errors are those of ``buddy.memory.errors``; any method may raise UnavailableError, AccessError,
SchemaError and ClosedError, so an empty answer always means that the backend answered.

**Whose rows** (rule R1). A row is named by its user and its id. ``user_id`` is a string, ``NOBODY``
or, where that is said, None:

- in a listing None means everybody, ``NOBODY`` the rows without a user;
- in a call by id None means the one row that has the id, whoever's it is, and AmbiguousIdError
  where several users have it: for tools and unguessable ids only;
- in a row None means nobody: upsert and exists speak of exactly that row.

``user_prefix`` selects all users whose name begins with it; ``""`` is every named user.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

from buddy.memory.filters import Where
from buddy.memory.rows import RowLike
from buddy.memory.search.request import SearchResult, parse
from buddy.memory.storage.expiry import Ttl
from buddy.memory.storage.iteration import PAGE_SIZE, Page, iterate_rows
from buddy.memory.storage.lifecycle import DatabaseLifecycle
from buddy.memory.storage.record import Kind
from buddy.memory.storage.self_description import describe
from buddy.memory.storage.summary_methods import SummaryMethods
from buddy.memory.storage.sync_runner import iterate, run
from buddy.memory.storage.users import Nobody

if TYPE_CHECKING:
    from buddy.memory.receipt import Receipt

__all__ = ["PAGE_SIZE", "MemoryContract", "Page"]

RowT = TypeVar("RowT")


class MemoryContract(SummaryMethods, DatabaseLifecycle, Generic[RowT]):
    """What a memory database does. An author implements the abstract methods; the rest follows."""

    keeps_ends: bool = False
    """Whether rows may end: ``ttl``, ``touch_memories`` and ``sweep`` are supported."""

    # --- memories

    @abstractmethod
    def memory_exists(self, memory: RowLike) -> bool:
        """Tell whether the row with the user and the id of ``memory`` is stored."""

    @abstractmethod
    def read_memories(
        self,
        user_id: str | Nobody | None = None,
        limit: int | None = None,
        sort: str | None = None,
        *,
        user_prefix: str | None = None,
    ) -> list[RowT]:
        """Return rows in the order of first writing.

        ``limit`` None reads all rows, N the first N in the asked order; ``sort`` is "desc" (newest
        first, also None) or "asc". ``[]`` when there is nothing, also when the tables were never
        made. Raises ConfigError for ``user_id`` together with ``user_prefix``.
        """

    @abstractmethod
    def upsert_memory(
        self, memory: RowLike, *, if_version: int | None = None, ttl: Ttl = None
    ) -> RowT:
        """Insert the row, or replace the content of the one with its user and id; return what is
        stored.

        ``if_version`` is the version that must be stored (0: no row), None for any. ``ttl`` is how
        long the row lives from now on: seconds, a timedelta, ``KEEP`` (a row that is there keeps
        its end) or ``NEVER``. None: the store's ``expire``, else the row's own ``expires_at``, else
        no end. From its end on the row is not there any more (rule R14). Raises
        InvalidMemoryError, TooLargeError, ConflictError, and ConfigError for such a ``ttl``.
        """

    def upsert_memories(self, memories: Iterable[RowLike], *, ttl: Ttl = None) -> list[RowT]:
        """Upsert any number of rows; return what is stored, in the same order.

        Stores all, or raises with what is stored in ``error.stored``, pairs of user and id. A user
        and id given twice is written once, with the later content. ``ttl`` as in ``upsert_memory``.
        """
        return run(self._operations.upsert_many(Kind.MEMORY, memories, ttl))

    def touch_memories(self, ids: Iterable[str], *, user_id: str | Nobody, ttl: Ttl) -> int:
        """Let the user's rows with these ids end ``ttl`` from now on; return how many these were.

        Nothing else changes: no version, no time. Rows that are not there, or not any more, are
        left out. ``ttl`` is seconds, a timedelta or ``NEVER``; anything else raises ConfigError.
        """
        return run(self._operations.touch(Kind.MEMORY, ids, user_id, ttl))

    def read_memory(self, id: str, *, user_id: str | Nobody | None = None) -> RowT | None:
        """Return the row, or None. Raises CorruptMemoryError when it is unreadable, and
        AmbiguousIdError."""
        row: RowT | None = run(self._operations.get(Kind.MEMORY, id, user_id))
        return row

    def read_memories_by_id(
        self, ids: Iterable[str], *, user_id: str | Nobody | None = None
    ) -> list[RowT | None]:
        """Return the rows in the order of ``ids``, None for what is not there; in one round trip
        where the backend can. Raises as ``read_memory``."""
        return run(self._operations.get_many(Kind.MEMORY, ids, user_id))

    def iter_memories(
        self,
        user_id: str | Nobody | None = None,
        sort: str | None = None,
        page_size: int = PAGE_SIZE,
        *,
        user_prefix: str | None = None,
        where: Where | None = None,
    ) -> Iterator[RowT]:
        """Yield what ``read_memories`` would return, ``page_size`` rows in memory at a time.

        Rows written meanwhile may or may not be seen; no other row is skipped or repeated.
        """
        return iterate_rows(
            self._operations, Kind.MEMORY, user_id, user_prefix, sort, page_size, where
        )

    def page_memories(
        self,
        user_id: str | Nobody | None = None,
        *,
        limit: int = 100,
        after: str | None = None,
        sort: str | None = None,
        user_prefix: str | None = None,
        where: Where | None = None,
    ) -> Page[RowT]:
        """Return up to ``limit`` (>= 1) rows of what ``read_memories`` would return.

        ``after`` is the ``next`` of the page before. Raises ConfigError for a text that is no
        cursor, and for the cursor of another listing or of a store that was dropped since.
        """
        return Page(
            *run(
                self._operations.page(Kind.MEMORY, user_id, user_prefix, limit, after, sort, where)
            )
        )

    def count_memories(
        self,
        user_id: str | Nobody | None = None,
        *,
        user_prefix: str | None = None,
        where: Where | None = None,
    ) -> int:
        """Return the number of rows."""
        return run(self._operations.count(Kind.MEMORY, user_id, user_prefix, where))

    def search_memories(
        self,
        query: str | None = None,
        *,
        user_id: str | Nobody,
        where: Where | None = None,
        limit: int = 10,
        offset: int = 0,
        method: str = "keyword",
        threshold: float | None = None,
        neighbours: int = 0,
    ) -> list[SearchResult[RowT]]:
        """Return the memories of one user that fit the query, best first (rules R17, R18, R20).

        ``method`` is "keyword" (the share of what the query's words could reach), "semantic" (the
        cosine of vectors) or "hybrid" (both); the latter two need an embedder. Without a query:
        the newest rows that satisfy ``where``, with no score. ``where`` selects by payload (see
        ``buddy.memory.filters``) and moves no score. ``threshold`` is the least score.
        ``neighbours`` adds a share of the scores of so many rows before and after. ``[]`` when
        nothing fits. Raises ConfigError for a wrong argument, EmbeddingError.
        """
        request = parse(query, where, limit, offset, method, threshold, neighbours)
        return run(self._operations.search(user_id, request))

    def delete_memories(self, ids: Iterable[str], *, user_id: str | Nobody | None = None) -> int:
        """Delete the rows with these ids; return how many there were. AmbiguousIdError where
        several users have one of them, and nothing is deleted."""
        return run(self._operations.delete_many(Kind.MEMORY, ids, user_id))

    # --- users

    def list_users(
        self, *, prefix: str = "", after: str | None = None, limit: int | None = None
    ) -> list[str]:
        """Return the users who have a memory or a summary, in code-point order, without nobody.

        Those that begin with ``prefix`` and come behind ``after``. What it costs depends on the
        users that it returns, not on the rows.
        """
        return run(self._operations.list_users(prefix, after, limit))

    def delete_user(self, user_id: str | Nobody) -> dict[str, int]:
        """Delete everything of a user; return ``{"memories": n, "summaries": m}``.

        None is refused with InvalidMemoryError.
        """
        return run(self._operations.delete_user(user_id))

    def delete_users(self, *, user_prefix: str) -> dict[str, int]:
        """Delete everything of all users under a prefix; return the counts as ``delete_user``.

        An empty prefix is refused with InvalidMemoryError: ``clear()`` empties a store.
        """
        return run(self._operations.delete_users(user_prefix))

    def forget_user(self, user_id: str | Nobody) -> Receipt:
        """Delete everything of a user, also what older software left, and look whether it is gone.

        Never raises after something was deleted: then ``verified`` of the receipt is False, and
        ``reason`` says why.
        """
        return run(self._operations.forget_user(user_id, describe(self)))

    # --- the store

    def sweep(self, progress: Callable[[int], object] | None = None) -> int:
        """Remove the rows that have expired, memories and summaries; return how many these were.

        They are invisible already: this frees their space. Works in short steps, safe beside
        writers; ``progress`` is called with the number so far after each.
        """
        total = 0
        for removed in iterate(self._operations.sweep()):
            total += removed
            if progress is not None:
                progress(total)
        return total

    def change_mark(self, user_id: str | Nobody) -> str | None:
        """Return a token of the user's rows: it differs whenever they differ, and equal tokens mean
        equal rows. None where the backend has none."""
        return run(self._operations.change_mark(user_id))
