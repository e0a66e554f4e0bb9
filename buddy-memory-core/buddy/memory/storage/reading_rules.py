"""The rules of reads, once for both versions of the API, for sync and for async."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from buddy.memory import payload
from buddy.memory.errors import ClosedError
from buddy.memory.storage.found_rows import one_of_each, only_one, readable_row, readable_rows
from buddy.memory.storage.record import Corrupt, Key, Kind, Record, Scope
from buddy.memory.storage.store import Store
from buddy.memory.storage.validation import check_id, check_ids, check_user

MANY = 1000
"""Rows that are read at once to get past unreadable ones, at most."""


class ReadingRules:
    """One Store, and what its answers mean to a caller."""

    def __init__(self, store: Store, name: str) -> None:
        self._store, self._name = store, name
        self.closed = False

    @property
    def store(self) -> Store:
        """The store; raises ClosedError after ``close``."""
        if self.closed:
            raise ClosedError(self._name)
        return self._store

    async def get(self, kind: Kind, id: Any, user_id: Any = None) -> Record | None:
        store, id = self.store, check_id(id)
        found: Record | Corrupt | None
        if user_id is None:
            found = only_one(id, await store.find(kind, [id]))
        else:
            found = await store.get(kind, check_user(user_id), id)
        return readable_row(found)

    async def get_many(self, kind: Kind, ids: Any, user_id: Any = None) -> list[Record | None]:
        """Return the records in the order of ``ids``, None for what is not there."""
        store, ids = self.store, check_ids(ids)
        distinct = list(dict.fromkeys(ids))
        user = check_user(user_id)
        if not distinct:
            await store.ping()  # An empty answer means that the backend answered (R7).
            return []
        found: dict[str, Record | Corrupt | None] = dict.fromkeys(distinct)
        if user_id is None:
            found.update(one_of_each(distinct, await store.find(kind, distinct)))
        else:
            keys = [Key(user, id) for id in distinct]
            found.update(zip(distinct, await store.get_many(kind, keys), strict=True))
        records = [readable_row(found[id]) for id in ids]
        return records if len(distinct) == len(ids) else [*map(_copy, records)]

    async def has(self, kind: Kind, id: Any, user_id: Any = None) -> bool:
        """Tell whether exactly this row is there; a ``user_id`` of None is nobody, as in a row."""
        return await self.store.has(kind, check_user(user_id), check_id(id))

    async def read(
        self, kind: Kind, scope: Scope, newest_first: bool, limit: int | None
    ) -> list[Record]:
        """Return up to ``limit`` readable records (None: all)."""
        store = self.store
        if limit == 0:
            await store.ping()
            return []
        return (await self.page(kind, scope, newest_first, limit, None))[0]

    async def page(
        self,
        kind: Kind,
        scope: Scope,
        newest_first: bool,
        limit: int | None,
        after: Any,
        skipped: Callable[[int], object] = lambda rows: None,
    ) -> tuple[list[Record], Any]:
        """Return up to ``limit`` readable records, and where the next start (None: nowhere).
        ``skipped`` is told how many unreadable ones were passed."""
        store, missing, size = self.store, limit, limit
        records: list[Record] = []
        while True:
            page = await store.page(kind, scope, newest_first=newest_first, after=after, limit=size)
            used = _up_to(page, missing)
            good = readable_rows(used)
            records += good
            skipped(len(used) - len(good))
            if missing is None or size is None:
                return records, None
            if len(page) < size and len(used) == len(page):
                return records, None
            after = used[-1].position
            if len(good) == missing:
                return records, after
            # Unreadable rows must not hide readable ones (R4), nor cost a round trip each.
            missing -= len(good)
            size = max(missing, min(2 * size, MANY))

    async def users(self, prefix: str, after: str | None, limit: int | None) -> list[str]:
        """Return the users who have a memory or a summary, in code-point order, without nobody."""
        store = self.store
        if limit == 0:
            await store.ping()
            return []
        users: set[str] = set()
        for kind in Kind:
            users.update(await store.users(kind, prefix=prefix, after=after, limit=limit))
        return sorted(users)[:limit]

    async def change_mark(self, user_id: str | None) -> str | None:
        """Return a token of all rows of the user, memories and summaries."""
        store = self.store
        marks = [await store.mark(kind, user_id) for kind in Kind]
        return None if None in marks else "/".join(map(str, marks))


def _up_to(page: Sequence[Record | Corrupt], missing: int | None) -> Sequence[Record | Corrupt]:
    """Return the page as far as its ``missing``-th readable record; None: all of it."""
    if missing is None or len(page) <= missing:
        return page
    found = 0
    for number, item in enumerate(page, 1):
        found += isinstance(item, Record)
        if found == missing:
            return page[:number]
    return page


def _copy(record: Record | None) -> Record | None:
    return record and record._replace(payload=payload.encode(record.payload))
