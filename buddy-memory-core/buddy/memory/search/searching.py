"""One search of a store: an index that is checked by the change mark, and winners read again.

An answer rests on rows as they were after the call began (rule R18). The usual search is two cheap
reads: the mark, which says that the index still holds, and the winners by their ids, whose stamps
say that they are as they were ranked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from buddy.memory.errors import UnsupportedError
from buddy.memory.search.index_cache import IndexCache
from buddy.memory.search.options import SearchOptions
from buddy.memory.search.request import SearchRequest, SearchResult
from buddy.memory.search.row_text import texts_of
from buddy.memory.search.semantic import check_vectors, query_vector
from buddy.memory.search.user_index import Hit, QueryVector, UserIndex
from buddy.memory.search.words import analyzer
from buddy.memory.storage.found_rows import readable_rows
from buddy.memory.storage.record import Key, Kind, Record, Scope
from buddy.memory.storage.store import Store

logger = logging.getLogger("buddy.memory")

RowT = TypeVar("RowT")

LOOKS = 3
"""How often the index is asked before one read of all rows gives the answer."""

_BATCH = 1_000  # rows of one read


class Found(NamedTuple):
    """A row that was found, and why; no hit where there was no query."""

    record: Record
    hit: Hit | None


class StoreSearch:
    """Searches the memories of one store. Holds the indexes of its users."""

    def __init__(self, store: Store, options: SearchOptions, *, awaited: bool) -> None:
        """``awaited`` tells that an event loop drives the calls."""
        self._store, self._options, self._awaited = store, options, awaited
        self._cache = IndexCache(lambda: new_index(options))

    async def search(self, user_id: str | None, request: SearchRequest) -> list[Found]:
        """Return the rows that satisfy the request, best first."""
        if request.query is None:
            return await self._newest(user_id, request)
        vector = await query_vector(request, self._options.embedder, awaited=self._awaited)
        for _ in range(LOOKS):
            mark = await self._store.mark(Kind.MEMORY, user_id)
            if mark is None:
                break
            index = self._cache.get_or_make(user_id)
            if index.mark != mark and not await self._refresh(index, user_id, mark):
                continue
            found = await self._winners(index, user_id, request, vector)
            if found is not None:
                return found
        return await self._search_all(user_id, request, vector)

    def wrote(self, record: Record) -> None:
        """Take over what this process has just written."""
        index = self._cache.get(record.user_id)
        if index is not None and record.kind is Kind.MEMORY:
            index.put(record, self._store.next_mark)

    def deleted(self, key: Key) -> None:
        """Take over that this process has just deleted a memory."""
        index = self._cache.get(key.user_id)
        if index is not None:
            index.delete(key.id, self._store.next_mark)

    # --- the index

    async def _refresh(self, index: UserIndex, user_id: str | None, mark: str) -> bool:
        """Bring the index to the rows of ``mark``; False where they changed meanwhile."""
        stamps = await self._store.stamps(Kind.MEMORY, user_id) if len(index) else []
        ids = index.outdated(stamps)
        if len(ids) * 2 >= len(stamps):  # One read of all costs less than many by id.
            records = await self._read_all(user_id)
            stamps = [(record.id, record.stamp) for record in records]
        else:
            self._check_size(len(stamps))
            records = await self._read(user_id, ids)
        if await self._store.mark(Kind.MEMORY, user_id) != mark:
            return False
        if not index.replace(stamps, {record.id: record for record in records}, mark):
            return False
        self._cache.keep(user_id, index)
        return True

    async def _read_all(self, user_id: str | None) -> list[Record]:
        records: list[Record] = []
        scope, after = Scope.of_user(user_id), None
        while True:
            page = await self._store.page(
                Kind.MEMORY, scope, newest_first=False, after=after, limit=_BATCH
            )
            records += readable_rows(page)
            self._check_size(len(records))
            if len(page) < _BATCH:
                return records
            after = page[-1].position

    async def _read(self, user_id: str | None, ids: Sequence[str]) -> list[Record]:
        found: list[Record] = []
        for start in range(0, len(ids), _BATCH):
            keys = [Key(user_id, id) for id in ids[start : start + _BATCH]]
            rows = await self._store.get_many(Kind.MEMORY, keys)
            found += readable_rows([row for row in rows if row is not None])
        return found

    def _check_size(self, rows: int) -> None:
        if rows > self._options.search_max_rows:
            raise UnsupportedError(
                "this database",
                f"search of a user with more than {self._options.search_max_rows} rows "
                "(search_max_rows)",
            )

    # --- the answer

    async def _winners(
        self,
        index: UserIndex,
        user_id: str | None,
        request: SearchRequest,
        vector: QueryVector | None,
    ) -> list[Found] | None:
        """Return the best rows, read again; None when one is not as it was ranked."""
        self._check_size(len(index))
        check_vectors(index, vector)
        wanted = request.offset + request.limit
        most = wanted if not request.where.conditions else 4 * wanted + 16
        found: list[Found] = []
        done = 0
        while True:
            hits = index.search(request, vector, most)
            records = {
                record.id: record
                for record in await self._read(user_id, [hit.id for hit in hits[done:]])
            }
            for hit in hits[done:]:
                record = records.get(hit.id)
                if record is None or record.stamp != hit.stamp:
                    return None
                if request.where.matches(record.payload):
                    found.append(Found(record, hit))
            if len(found) >= wanted or len(hits) < most:
                return found[request.offset : wanted]
            done, most = most, 4 * most

    async def _newest(self, user_id: str | None, request: SearchRequest) -> list[Found]:
        """Return the newest rows that satisfy the filter: there is nothing to rank by."""
        wanted = request.offset + request.limit
        found: list[Found] = []
        after, scope = None, Scope.of_user(user_id)
        while len(found) < wanted:
            page = await self._store.page(
                Kind.MEMORY, scope, newest_first=True, after=after, limit=_BATCH
            )
            found += [
                Found(r, None) for r in readable_rows(page) if request.where.matches(r.payload)
            ]
            if len(page) < _BATCH:
                break
            after = page[-1].position
        return found[request.offset : wanted]

    async def _search_all(
        self, user_id: str | None, request: SearchRequest, vector: QueryVector | None
    ) -> list[Found]:
        """Search in one read of all rows: for stores without marks, and beside busy writers."""
        rows = await self._store.page(
            Kind.MEMORY, Scope.of_user(user_id), newest_first=False, after=None, limit=None
        )
        records = readable_rows(rows)
        self._check_size(len(records))
        return search_records(records, request, vector, self._options)


def new_index(options: SearchOptions) -> UserIndex:
    """Return an empty index."""
    text = options.text
    return UserIndex(analyzer(options.language), lambda record: texts_of(text, record.payload))


def results(found: Iterable[Found], to_row: Callable[[Record], RowT]) -> list[SearchResult[RowT]]:
    """Return what was found as callers get it."""
    return [
        SearchResult(to_row(record), None)
        if hit is None
        else SearchResult(to_row(record), hit.score, hit.keyword, hit.cosine, hit.matched)
        for record, hit in found
    ]


def search_records(
    records: Sequence[Record],
    request: SearchRequest,
    vector: QueryVector | None,
    options: SearchOptions,
) -> list[Found]:
    """Search all rows of one user, given in the order of first writing."""
    if request.query is None:
        chosen = [Found(r, None) for r in reversed(records) if request.where.matches(r.payload)]
        return chosen[request.offset : request.offset + request.limit]
    index = new_index(options)
    by_id = {record.id: record for record in records}
    index.replace([(record.id, record.stamp) for record in records], by_id, None)
    check_vectors(index, vector)
    found = [
        Found(by_id[hit.id], hit)
        for hit in index.search(request, vector, len(records))
        if request.where.matches(by_id[hit.id].payload)
    ]
    return found[request.offset : request.offset + request.limit]
