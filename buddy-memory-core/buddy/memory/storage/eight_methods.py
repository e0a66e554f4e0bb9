"""The operations of a database that has the eight abstract methods and no Store.

Each reads all rows of the store, which is right and slow; an author who can do better overrides
the public method. Written once, awaiting: a synchronous database is given as ``Awaiting(db)``.
"""

from __future__ import annotations

import builtins
import inspect
from collections.abc import AsyncIterator, Iterable
from copy import deepcopy
from functools import partial
from typing import Any

from buddy.memory import filters, payload
from buddy.memory.errors import AmbiguousIdError, MemoryDbError, UnsupportedError
from buddy.memory.filters import Filter
from buddy.memory.receipt import Receipt
from buddy.memory.search.options import SearchOptions
from buddy.memory.search.request import SearchRequest, SearchResult
from buddy.memory.storage import clock, cursors, forgetting, place_markers
from buddy.memory.storage.record import Kind, Reach, Record, Scope
from buddy.memory.storage.row_mapping import not_a_row
from buddy.memory.storage.row_operations import Pages, RowOperations
from buddy.memory.storage.self_description import Place, no_expiry, no_summaries
from buddy.memory.storage.users import NOBODY
from buddy.memory.storage.validation import (
    check_full_prefix,
    check_id,
    check_ids,
    check_limit,
    check_named_user,
    check_page_limit,
    check_prefix,
    check_scope,
    check_sort,
    check_user,
)


class Awaiting:
    """A synchronous database whose methods can be awaited; nothing ever waits."""

    def __init__(self, db: Any) -> None:
        self.db = db

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.db, name)

        async def awaited(*args: Any, **kwargs: Any) -> Any:
            return method(*args, **kwargs)

        return awaited


class EightMethodOperations(RowOperations):
    """Memories through the eight methods; summaries, and marks, are not to be had."""

    def __init__(self, db: Any) -> None:
        self._db = db
        self._author = db.db if isinstance(db, Awaiting) else db

    # --- reading

    async def get(self, kind: Kind, id: Any, user_id: Any) -> Any:
        return (await self.get_many(kind, [check_id(id)], user_id))[0]

    async def get_many(self, kind: Kind, ids: Iterable[str], user_id: Any) -> list[Any]:
        ids = check_ids(ids)
        found: dict[str, list[Any]] = {id: [] for id in ids}
        for row in await self._all(kind, check_scope(user_id)):
            if row.id in found:
                found[row.id].append(row)
        for id, rows in found.items():
            if len(rows) > 1:
                raise AmbiguousIdError(id)
        return _each_its_own([found[id][0] if found[id] else None for id in ids])

    async def read(
        self, kind: Kind, user_id: Any, user_prefix: Any, limit: Any, sort: Any
    ) -> list[Any]:
        newest_first, limit = check_sort(sort), check_limit(limit)
        return (await self._all(kind, check_scope(user_id, user_prefix), newest_first))[:limit]

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
        limit, newest_first = check_page_limit(limit), check_sort(sort)
        scope, condition = check_scope(user_id, user_prefix), filters.parse(where)
        text = filters.canonical(condition) if condition.conditions else ""
        listing = cursors.Listing(kind, scope, newest_first, "", text)
        place = None if after is None else cursors.decode(listing, after, str)
        rows = _selected(await self._all(kind, scope, newest_first), condition)
        start = 0 if place is None else place_markers.find(rows, str(place))
        end = start + limit
        if end >= len(rows):
            return rows[start:], None
        return rows[start:end], cursors.encode(listing, place_markers.encode(rows, end))

    def pages(
        self,
        kind: Kind,
        user_id: Any,
        user_prefix: Any,
        sort: Any,
        page_size: Any,
        where: Any = None,
    ) -> Pages:
        if kind is Kind.SUMMARY:
            raise no_summaries(self._author)
        return super().pages(kind, user_id, user_prefix, sort, page_size, where)

    async def next_page(self, pages: Pages, after: Any) -> tuple[list[Any], Any]:
        rows = await self._all(pages.kind, pages.scope, pages.newest_first)
        return _selected(rows, pages.where), None

    async def count(self, kind: Kind, user_id: Any, user_prefix: Any, where: Any = None) -> int:
        scope, condition = check_scope(user_id, user_prefix), filters.parse(where)
        return len(_selected(await self._all(kind, scope), condition))

    async def search(self, user_id: Any, request: SearchRequest) -> list[SearchResult[Any]]:
        from buddy.memory.search.searching import results, search_records

        scope = Scope.of_user(check_named_user(user_id))
        if request.by_vector:
            raise UnsupportedError(type(self._author).__name__, "vectors", "Search by keyword.")
        rows = await self._all(Kind.MEMORY, scope, newest_first=False)
        records = [
            Record(Kind.MEMORY, scope.name, row.id, row.memory, clock.EPOCH, clock.EPOCH)
            for row in rows
        ]
        by_id = {row.id: row for row in rows}
        found = search_records(records, request, None, SearchOptions())
        return results(found, lambda record: by_id[record.id])

    async def list_users(self, prefix: Any, after: Any, limit: Any) -> list[str]:
        scope, limit = Scope.of_prefix(check_prefix(prefix)), check_limit(limit)
        after = None if after is None else check_prefix(after, "after")
        users = {row.user_id for row in await self._all(Kind.MEMORY, scope)}
        return sorted(user for user in users if after is None or user > after)[:limit]

    async def _all(self, kind: Kind, scope: Scope, newest_first: bool = True) -> list[Any]:
        if kind is Kind.SUMMARY:
            raise no_summaries(self._author)
        sort = "desc" if newest_first else "asc"
        # A named user is all that every author's filter knows; the rest is filtered here.
        asked = scope.name if scope.reach is Reach.USER else None
        rows = await self._db.read_memories(user_id=asked, sort=sort)
        return [row for row in rows if scope.covers(row.user_id)]

    # --- writing

    async def touch(self, kind: Kind, ids: Iterable[str], user_id: Any, ttl: Any) -> int:
        raise no_expiry(self._author)

    def sweep(self) -> AsyncIterator[int]:
        raise no_expiry(self._author)

    async def upsert_many(self, kind: Kind, rows: Iterable[Any], ttl: Any) -> list[Any]:
        if kind is Kind.SUMMARY:
            raise no_summaries(self._author)
        if ttl is not None:
            raise no_expiry(self._author)
        given = list(rows)
        keys = [_checked_key(row) for row in given]  # Before anything is stored (R6, R8).
        stored: dict[Any, Any] = {}
        # A key given twice is written once, in its first place, with the later row.
        for key, row in dict(zip(keys, given, strict=True)).items():
            try:
                stored[key] = await self._db.upsert_memory(row)
            except MemoryDbError as error:
                error.stored = tuple((done.user_id, done.id) for done in stored.values())
                raise
        return _each_its_own([stored[key] for key in keys])

    # --- deleting

    async def delete_many(self, kind: Kind, ids: Iterable[str], user_id: Any) -> int:
        self._check_deletes_by_user()
        rows = await self.get_many(kind, dict.fromkeys(check_ids(ids)), user_id)
        return await self._delete([row for row in rows if row is not None])

    async def delete_user(self, user_id: Any) -> dict[str, int]:
        scope = Scope.of_user(check_named_user(user_id))
        return {"memories": await self._delete_all(scope), "summaries": 0}

    async def delete_users(self, user_prefix: Any) -> dict[str, int]:
        scope = Scope.of_prefix(check_full_prefix(user_prefix))
        return {"memories": await self._delete_all(scope), "summaries": 0}

    async def forget_user(self, user_id: Any, place: Place) -> Receipt:
        user = check_named_user(user_id)
        scope = Scope.of_user(user)

        async def count() -> int:
            return len(await self._all(Kind.MEMORY, scope))

        async def no_legacy() -> int:
            return 0

        memories = forgetting.Rows(count, partial(self._delete_all, scope))
        return await forgetting.forget(
            user, place, memories=memories, summaries=None, delete_legacy=no_legacy, look=count
        )

    async def _delete_all(self, scope: Scope) -> int:
        self._check_deletes_by_user()
        return await self._delete(await self._all(Kind.MEMORY, scope))

    async def _delete(self, rows: list[Any]) -> int:
        """Delete rows of which each is named by its user and its id, never by the id alone."""
        for row in rows:
            user = NOBODY if row.user_id is None else row.user_id
            await self._db.delete_memory(row.id, user_id=user)
        return len(rows)

    def _check_deletes_by_user(self) -> None:
        parameters = inspect.signature(self._author.delete_memory).parameters
        takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        if "user_id" not in parameters and not takes_any:
            raise UnsupportedError(
                type(self._author).__name__,
                "deleting the rows of one user",
                "Its delete_memory has to take user_id=.",
            )

    async def change_mark(self, user_id: Any) -> str | None:
        check_named_user(user_id)
        return None


def _selected(rows: list[Any], where: Filter) -> list[Any]:
    return [row for row in rows if where.matches(row.memory)] if where.conditions else rows


def _checked_key(row: Any) -> Any:
    """Return what names a row, or something of its own where its id is still to be made. Raises
    InvalidMemoryError for what cannot be stored."""
    try:
        user_id, id, content = check_user(row.user_id), row.id, row.memory
    except AttributeError:
        raise not_a_row(row, Kind.MEMORY) from None
    payload.encode(content, Kind.MEMORY)
    return ("made", builtins.id(row)) if id is None else (user_id, check_id(id))


def _each_its_own(rows: list[Any]) -> list[Any]:
    """Return the rows with copies in place of what stands there already (R8)."""
    seen: set[int] = set()
    own: list[Any] = []
    for row in rows:
        own.append(deepcopy(row) if builtins.id(row) in seen else row)
        seen.add(builtins.id(row))
    return own
