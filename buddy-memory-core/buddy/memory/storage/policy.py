"""The rules, once: everything between what a caller asks and what a Store has to do.

``Policy`` speaks records and is the same for both versions of the API and for sync and async;
the classes in ``buddy.memory.storage.stored`` only translate rows. Rule numbers refer to
docs/rules.md.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from buddy.memory import payload
from buddy.memory.errors import (
    ClosedError,
    CorruptMemoryError,
    InvalidMemoryError,
    OwnerMismatchError,
)
from buddy.memory.storage import clock
from buddy.memory.storage.checks import (
    check_id,
    check_ids,
    check_limit,
    check_page_size,
    check_pages,
    check_sort,
    check_stored_version,
    check_user,
    check_version,
    prepare,
)
from buddy.memory.storage.record import Corrupt, Draft, Kind, Record, Write
from buddy.memory.storage.store import Store

logger = logging.getLogger("buddy.memory")


class Lease:
    """How many objects use one store; the last one to close closes it."""

    def __init__(self) -> None:
        self.holders = 1


class Policy:
    """One Store with the rules R1 to R8 and R13 kept above it."""

    def __init__(self, store: Store, name: str, lease: Lease | None = None) -> None:
        self._store = store
        self._name = name
        self._lease = lease or Lease()
        self.closed = False

    @property
    def store(self) -> Store:
        """The store; raises ClosedError after ``close``."""
        if self.closed:
            raise ClosedError(self._name)
        return self._store

    # --- writing

    async def put(self, draft: Draft, if_version: int | None = None) -> Record:
        store = self.store
        return await store.put(prepare(draft, clock.utc_now(), check_version(if_version)))

    async def put_many(self, drafts: Iterable[Draft]) -> list[Record]:
        store, now = self.store, clock.utc_now()
        writes: dict[str, Write] = {}
        ids: list[str] = []
        for draft in drafts:
            write = prepare(draft, now)
            id = write.record.id
            ids.append(id)
            writes[id] = _collapse(writes[id], write) if id in writes else write
        if not writes:
            await store.ping()
            return []
        records = await store.put_many(list(writes.values()))
        if len(records) == len(ids):
            return records
        stored = {record.id: record for record in records}
        return [stored[id]._replace(payload=payload.encode(stored[id].payload)) for id in ids]

    async def restore(self, drafts: Iterable[tuple[Draft, int]]) -> list[Record]:
        """Store rows from elsewhere with their versions; the ids are distinct, and one of them."""
        store, now = self.store, clock.utc_now()
        writes = [prepare(draft, now, None, check_stored_version(v)) for draft, v in drafts]
        return await store.restore(writes) if writes else []

    # --- reading

    async def get(self, kind: Kind, id: Any, user_id: str | None = None) -> Record | None:
        found = await self.store.get(kind, check_id(id), check_user(user_id))
        if isinstance(found, Corrupt):
            raise CorruptMemoryError(found.id, found.reason)
        return found

    async def has(self, kind: Kind, id: Any, user_id: str | None = None) -> bool:
        return await self.store.has(kind, check_id(id), check_user(user_id))

    async def read(
        self, kind: Kind, user_id: str | None, limit: int | None, sort: str | None
    ) -> list[Record]:
        store, newest_first, missing = self.store, check_sort(sort), check_limit(limit)
        check_user(user_id)
        if missing == 0:
            await store.ping()  # An empty answer means that the backend answered (R7).
            return []
        records: list[Record] = []
        after = None
        while True:
            page = await store.page(
                kind, user_id, newest_first=newest_first, after=after, limit=missing
            )
            good = readable(page)
            records += good
            if missing is None or len(page) < missing or len(good) == missing:
                return records
            # Unreadable rows must not hide readable ones (R4): fetch as many more.
            after, missing = page[-1].position, missing - len(good)

    async def page(
        self, kind: Kind, user_id: str | None, sort: str | None, page_size: int, after: Any
    ) -> tuple[list[Record], Any]:
        """Return the readable records of one page and where the next one starts (None: nowhere)."""
        page = await self.store.page(
            kind,
            check_user(user_id),
            newest_first=check_sort(sort),
            after=after,
            limit=check_page_size(page_size),
        )
        return readable(page), page[-1].position if len(page) >= page_size else None

    def check_pages(self, user_id: str | None, sort: str | None, page_size: int) -> None:
        """Raise what ``page`` would raise for these arguments, at once and without I/O."""
        check_pages(user_id, sort, page_size)
        _ = self.store

    async def count(self, kind: Kind, user_id: str | None = None) -> int:
        return await self.store.count(kind, check_user(user_id))

    # --- deleting

    async def delete(
        self, kind: Kind, id: Any, user_id: str | None = None, if_version: int | None = None
    ) -> bool:
        return await self.store.delete(
            kind, check_id(id), check_user(user_id), check_version(if_version)
        )

    async def delete_many(self, kind: Kind, ids: Iterable[str], user_id: str | None = None) -> int:
        store, distinct = self.store, check_ids(ids)
        check_user(user_id)
        if not distinct:
            await store.ping()
            return 0
        return await store.delete_many(kind, distinct, user_id)

    async def delete_user(self, user_id: str) -> dict[str, int]:
        store = self.store
        if check_user(user_id) is None:
            raise InvalidMemoryError("name the user; clear() empties the whole store", "user_id")
        return {
            "memories": await store.delete_all(Kind.MEMORY, user_id),
            "summaries": await store.delete_all(Kind.SUMMARY, user_id),
        }

    async def clear(self) -> bool:
        store = self.store
        for kind in Kind:
            await store.delete_all(kind, None)
        return True

    # --- the end

    def share(self) -> Policy:
        """Return a second holder of the same store, closed on its own."""
        shared = Policy(self.store, self._name, self._lease)
        self._lease.holders += 1
        return shared

    async def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._lease.holders -= 1
        if self._lease.holders == 0:
            await self._store.close()


def readable(page: list[Record | Corrupt]) -> list[Record]:
    """Return the records of a page, with one warning for each row that cannot be decoded (R16)."""
    records = []
    for item in page:
        if isinstance(item, Corrupt):
            logger.warning("skipped the unreadable row %r: %s", item.id, item.reason)
        else:
            records.append(item)
    return records


def _collapse(first: Write, second: Write) -> Write:
    """Return one write for an id that stands twice in one call: first place, last content."""
    if first.record.user_id != second.record.user_id:
        raise OwnerMismatchError(first.record.id)
    return first._replace(record=first.record._replace(payload=second.record.payload))
