"""Pages of rows: what a page is, and how both contracts iterate over them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from buddy.memory.storage.record import Kind
from buddy.memory.storage.row_operations import RowOperations
from buddy.memory.storage.sync_runner import run

AnyRow = TypeVar("AnyRow")

PAGE_SIZE = 500
"""Rows that the ``iter_…`` methods fetch at a time unless told otherwise."""


@dataclass(frozen=True)
class Page(Generic[AnyRow]):
    """Some rows of a listing. ``next`` is what ``after=`` takes for those behind them: an opaque
    text that may travel through a URL and names no user or id; None at the end."""

    rows: list[AnyRow]
    next: str | None


def iterate_rows(
    operations: RowOperations,
    kind: Kind,
    user_id: Any,
    user_prefix: Any,
    sort: Any,
    page_size: Any,
    where: Any = None,
) -> Iterator[Any]:
    """Yield the rows of a listing. A wrong argument raises at the call, not at the first row."""
    pages = operations.pages(kind, user_id, user_prefix, sort, page_size, where)

    def rows() -> Iterator[Any]:
        after: Any = None
        while True:
            found, after = run(operations.next_page(pages, after))
            yield from found
            if after is None:
                return

    return rows()


def iterate_rows_async(
    operations: RowOperations,
    kind: Kind,
    user_id: Any,
    user_prefix: Any,
    sort: Any,
    page_size: Any,
    where: Any = None,
) -> AsyncIterator[Any]:
    """As ``iterate_rows``, awaited."""
    pages = operations.pages(kind, user_id, user_prefix, sort, page_size, where)

    async def rows() -> AsyncIterator[Any]:
        after: Any = None
        while True:
            found, after = await operations.next_page(pages, after)
            for row in found:
                yield row
            if after is None:
                return

    return rows()
