"""The operations of a database that has a Store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from buddy.memory import filters
from buddy.memory.filters import Filter
from buddy.memory.receipt import Receipt
from buddy.memory.search.options import SearchOptions
from buddy.memory.search.request import SearchRequest, SearchResult
from buddy.memory.storage import cursors, forgetting
from buddy.memory.storage.record import Key, Kind, Record, Scope
from buddy.memory.storage.row_mapping import RowMapping
from buddy.memory.storage.row_operations import Pages, RowOperations
from buddy.memory.storage.rules import Embed, Rules
from buddy.memory.storage.self_description import Place
from buddy.memory.storage.validation import (
    check_full_prefix,
    check_limit,
    check_named_user,
    check_page_limit,
    check_prefix,
    check_scope,
    check_sort,
    check_user,
)

if TYPE_CHECKING:
    from buddy.memory.search.searching import StoreSearch

PAGE = 1_000
"""Rows that are read at a time where a filter selects."""

INDEXED_AT_ONCE = 1_000
"""Rows of a bulk write that the index of a search takes over; those of a larger one are read by the
next search, within its bounds of memory."""


class StoreOperations(RowOperations):
    """Rows in and out of the records of a Rules."""

    def __init__(
        self,
        rules: Rules,
        mappings: Mapping[Kind, RowMapping[Any]],
        search: SearchOptions,
        *,
        awaited: bool,
    ) -> None:
        """``awaited`` tells that an event loop drives the calls."""
        self.rules, self._mappings = rules, mappings
        self._search_options, self._awaited = search, awaited
        self._search: StoreSearch | None = None  # Made by the first search.
        self._embed: Embed | None = None
        if search.embedder is not None:
            from buddy.memory.search.writing import embed_writes

            self._embed = partial(embed_writes, options=search, awaited=awaited)

    async def exists(self, kind: Kind, row: Any) -> bool:
        draft = self._mappings[kind].draft(row)
        return await self.rules.has(kind, draft.id, draft.user_id)

    async def upsert(self, kind: Kind, row: Any, if_version: int | None, ttl: Any) -> Any:
        mapping = self._mappings[kind]
        record = await self.rules.put(mapping.draft(row), if_version, self._embedding(kind), ttl)
        if self._search is not None:
            self._search.wrote(record)
        return mapping.row(record)

    def _embedding(self, kind: Kind) -> Embed | None:
        return self._embed if kind is Kind.MEMORY else None

    async def delete(self, kind: Kind, id: Any, user_id: Any, if_version: int | None) -> bool:
        deleted = await self.rules.delete(kind, id, user_id, if_version)
        if deleted and self._search is not None and kind is Kind.MEMORY and user_id is not None:
            self._search.deleted(Key(check_user(user_id), id))
        return deleted

    async def get(self, kind: Kind, id: Any, user_id: Any) -> Any:
        record = await self.rules.get(kind, id, user_id)
        return None if record is None else self._mappings[kind].row(record)

    async def get_many(self, kind: Kind, ids: Iterable[str], user_id: Any) -> list[Any]:
        to_row = self._mappings[kind].row
        records = await self.rules.get_many(kind, ids, user_id)
        return [None if record is None else to_row(record) for record in records]

    async def read(
        self, kind: Kind, user_id: Any, user_prefix: Any, limit: Any, sort: Any
    ) -> list[Any]:
        newest_first, limit = check_sort(sort), check_limit(limit)
        scope = check_scope(user_id, user_prefix)
        return self._rows(kind, await self.rules.read(kind, scope, newest_first, limit))

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
        newest_first, limit = check_sort(sort), check_page_limit(limit)
        scope, condition = check_scope(user_id, user_prefix), filters.parse(where)
        place, listing = None, None
        if after is not None:
            listing = await self._listing(kind, scope, newest_first, condition)
            place = cursors.decode(listing, after, self.rules.store.position_type)
        # One more than is shown tells whether there is a next page.
        records = await self._matching(
            Pages(kind, scope, newest_first, limit + 1, condition), place
        )
        if len(records) <= limit:
            return self._rows(kind, records), None
        shown = records[:limit]
        listing = listing or await self._listing(kind, scope, newest_first, condition)
        return self._rows(kind, shown), cursors.encode(listing, shown[-1].position)

    async def _listing(
        self, kind: Kind, scope: Scope, newest_first: bool, where: Filter
    ) -> cursors.Listing:
        generation = await self.rules.store.generation(kind)
        condition = filters.canonical(where) if where.conditions else ""
        return cursors.Listing(kind, scope, newest_first, generation, condition)

    async def _matching(self, pages: Pages, place: Any) -> list[Record]:
        """Return up to ``page_size`` records that satisfy the filter."""
        kind, scope, newest_first, wanted, where = pages
        if not where.conditions:
            return (await self.rules.page(kind, scope, newest_first, wanted, place))[0]
        found: list[Record] = []
        size = max(wanted, PAGE)
        while len(found) < wanted:
            records, place = await self.rules.page(kind, scope, newest_first, size, place)
            found += [record for record in records if where.matches(record.payload)]
            if place is None:
                break
        return found[:wanted]

    def pages(
        self,
        kind: Kind,
        user_id: Any,
        user_prefix: Any,
        sort: Any,
        page_size: Any,
        where: Any = None,
    ) -> Pages:
        _ = self.rules.store  # Raises at the call, and not at the first row.
        return super().pages(kind, user_id, user_prefix, sort, page_size, where)

    async def next_page(self, pages: Pages, after: Any) -> tuple[list[Any], Any]:
        kind, scope, newest_first, size, where = pages
        records, after = await self.rules.page(kind, scope, newest_first, size, after)
        if where.conditions:
            records = [record for record in records if where.matches(record.payload)]
        return self._rows(kind, records), after

    async def count(self, kind: Kind, user_id: Any, user_prefix: Any, where: Any = None) -> int:
        scope, condition = check_scope(user_id, user_prefix), filters.parse(where)
        if not condition.conditions:
            return await self.rules.store.count(kind, scope)
        count, place = 0, None
        while True:
            records, place = await self.rules.page(kind, scope, False, PAGE, place)
            count += sum(condition.matches(record.payload) for record in records)
            if place is None:
                return count

    async def search(self, user_id: Any, request: SearchRequest) -> list[SearchResult[Any]]:
        from buddy.memory.search.searching import StoreSearch, results  # Few processes search.

        user, store = check_named_user(user_id), self.rules.store
        if self._search is None:
            self._search = StoreSearch(store, self._search_options, awaited=self._awaited)
        return results(await self._search.search(user, request), self._mappings[Kind.MEMORY].row)

    async def upsert_many(self, kind: Kind, rows: Iterable[Any], ttl: Any) -> list[Any]:
        drafts = map(self._mappings[kind].draft, rows)
        records = await self.rules.put_many(drafts, self._embedding(kind), ttl)
        if self._search is not None and len(records) <= INDEXED_AT_ONCE:
            for record in records:
                self._search.wrote(record)
        return self._rows(kind, records)

    async def touch(self, kind: Kind, ids: Iterable[str], user_id: Any, ttl: Any) -> int:
        return await self.rules.touch(kind, ids, check_named_user(user_id), ttl)

    def sweep(self) -> AsyncIterator[int]:
        return self.rules.sweep()

    async def restore(self, kind: Kind, rows: Iterable[Any]) -> list[Any]:
        """Store those rows from elsewhere that are new here, with version and end; return these."""
        records = []
        for row in rows:
            draft = self._mappings[kind].draft(row)
            # A row that was never stored has no version yet.
            version = getattr(row, "version", None) or 1
            records.append(Record(*draft[:-1], version=version, expires_at=draft.expires_at))
        return self._rows(kind, await self.rules.restore(records))

    async def delete_many(self, kind: Kind, ids: Iterable[str], user_id: Any) -> int:
        return await self.rules.delete_many(kind, ids, user_id)

    async def list_users(self, prefix: Any, after: Any, limit: Any) -> list[str]:
        after = None if after is None else check_prefix(after, "after")
        return await self.rules.users(check_prefix(prefix), after, check_limit(limit))

    async def delete_user(self, user_id: Any) -> dict[str, int]:
        return await self.rules.delete_all(Scope.of_user(check_named_user(user_id)))

    async def delete_users(self, user_prefix: Any) -> dict[str, int]:
        return await self.rules.delete_all(Scope.of_prefix(check_full_prefix(user_prefix)))

    async def forget_user(self, user_id: Any, place: Place) -> Receipt:
        user, store = check_named_user(user_id), self.rules.store
        scope = Scope.of_user(user)

        def rows(kind: Kind) -> forgetting.Rows:
            return forgetting.Rows(
                partial(store.count, kind, scope), partial(store.delete_all, kind, scope)
            )

        return await forgetting.forget(
            user,
            place,
            memories=rows(Kind.MEMORY),
            summaries=rows(Kind.SUMMARY),
            delete_legacy=partial(store.delete_legacy, user),
            look=partial(self._remaining, scope),
        )

    async def _remaining(self, scope: Scope) -> int:
        """Count the user's rows of every kind, those of older software included."""
        store = self.rules.store
        found = 0
        for kind in Kind:
            found += await store.count(kind, scope)
            # Read as well: a count may come from an index that has lost a row.
            page = await store.page(kind, scope, newest_first=True, after=None, limit=1)
            found = max(found, len(page))
        async for legacy in store.legacy_records():
            found += sum(row.user_id == scope.name for row in legacy)
        return found

    async def change_mark(self, user_id: Any) -> str | None:
        return await self.rules.change_mark(check_named_user(user_id))

    def _rows(self, kind: Kind, records: Iterable[Record]) -> list[Any]:
        return [*map(self._mappings[kind].row, records)]
