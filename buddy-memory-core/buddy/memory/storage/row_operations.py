"""What both contracts do with rows of either kind, once: awaited, and driven by ``run`` where the
contract is synchronous."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from buddy.memory import filters
from buddy.memory.filters import ANY, Filter
from buddy.memory.search.request import SearchRequest, SearchResult
from buddy.memory.storage.record import Kind, Scope
from buddy.memory.storage.self_description import Place
from buddy.memory.storage.validation import check_page_size, check_scope, check_sort

if TYPE_CHECKING:
    from buddy.memory.receipt import Receipt


class Pages(NamedTuple):
    """The checked arguments of an iteration."""

    kind: Kind
    scope: Scope
    newest_first: bool
    page_size: int
    where: Filter = ANY


class RowOperations(ABC):
    """The methods of a database under names that do not differ by kind.

    Arguments are as callers gave them. ``user_id`` means what rule R1 says for each call.
    """

    @abstractmethod
    async def get(self, kind: Kind, id: Any, user_id: Any) -> Any:
        """Return the row, or None."""

    @abstractmethod
    async def get_many(self, kind: Kind, ids: Iterable[str], user_id: Any) -> list[Any]:
        """Return the rows in the order of ``ids``, None for what is not there."""

    @abstractmethod
    async def read(
        self, kind: Kind, user_id: Any, user_prefix: Any, limit: Any, sort: Any
    ) -> list[Any]:
        """Return rows in the order of first writing."""

    @abstractmethod
    async def page(
        self,
        kind: Kind,
        user_id: Any,
        user_prefix: Any,
        limit: Any,
        after: Any,
        sort: Any,
        where: Any = None,
    ) -> tuple[list[Any], str | None]:
        """Return up to ``limit`` rows behind the cursor ``after``, and the cursor behind them."""

    def pages(
        self,
        kind: Kind,
        user_id: Any,
        user_prefix: Any,
        sort: Any,
        page_size: Any,
        where: Any = None,
    ) -> Pages:
        """Return the arguments of an iteration, checked at once and without I/O."""
        return Pages(
            kind,
            check_scope(user_id, user_prefix),
            check_sort(sort),
            check_page_size(page_size),
            filters.parse(where),
        )

    @abstractmethod
    async def next_page(self, pages: Pages, after: Any) -> tuple[list[Any], Any]:
        """Return the rows of an iteration behind ``after``, and what the next call takes (None:
        there are no more)."""

    @abstractmethod
    async def count(self, kind: Kind, user_id: Any, user_prefix: Any, where: Any = None) -> int:
        """Return the number of rows."""

    @abstractmethod
    async def search(self, user_id: Any, request: SearchRequest) -> list[SearchResult[Any]]:
        """Return the memories of one user that satisfy the request, best first."""

    @abstractmethod
    async def upsert_many(self, kind: Kind, rows: Iterable[Any], ttl: Any) -> list[Any]:
        """Write any number of rows; return what is stored, in the same order."""

    @abstractmethod
    async def touch(self, kind: Kind, ids: Iterable[str], user_id: Any, ttl: Any) -> int:
        """Move the end of the user's rows; return how many there were."""

    @abstractmethod
    def sweep(self) -> AsyncIterator[int]:
        """Remove what has expired; yield how many rows each step removed."""

    @abstractmethod
    async def delete_many(self, kind: Kind, ids: Iterable[str], user_id: Any) -> int:
        """Delete the rows; return how many there were."""

    @abstractmethod
    async def list_users(self, prefix: Any, after: Any, limit: Any) -> list[str]:
        """Return the users who have a row of either kind, in code-point order."""

    @abstractmethod
    async def delete_user(self, user_id: Any) -> dict[str, int]:
        """Delete everything of a user; return the counts."""

    @abstractmethod
    async def delete_users(self, user_prefix: Any) -> dict[str, int]:
        """Delete everything of all users under a prefix; return the counts."""

    @abstractmethod
    async def forget_user(self, user_id: Any, place: Place) -> Receipt:
        """Delete everything of a user, look whether it is gone, and say so. ``place`` is how the
        receipt names the store."""

    @abstractmethod
    async def change_mark(self, user_id: Any) -> str | None:
        """Return a token of the user's rows, or None where the backend has none."""
