"""R14: expiry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.record import Corrupt, Key, Kind, Record, Scope, Write
from buddy.memory.testing import BackendUnderTest
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
from tests.conformance_kit.broken_backends.declare import BROKEN


class Expires(InMemoryStore):
    """Rows that are written while ``short`` is set are gone at once."""

    def __init__(self) -> None:
        super().__init__()
        self.expired: set[tuple[Kind, Key]] = set()
        self.short = False

    async def put(self, write: Write) -> Record:
        entry = write.record.kind, write.record.key
        if self.short:
            self.expired.add(entry)
        else:
            self.expired.discard(entry)
        return await super().put(write)

    async def page(self, kind: Kind, scope: Scope, **options: Any) -> Any:
        rows = await super().page(kind, scope, **options)
        return [row for row in rows if (kind, row.key) not in self.expired]

    async def get(self, kind: Kind, user_id: Any, id: str) -> Record | Corrupt | None:
        found = await super().get(kind, user_id, id)
        return None if (kind, Key(user_id, id)) in self.expired else found

    async def find(self, kind: Kind, ids: Any) -> list[Record | Corrupt]:
        rows = await super().find(kind, ids)
        return [row for row in rows if (kind, row.key) not in self.expired]


class KeepsExpiredRowsInTheCount(Expires):
    """Counts what it no longer lists."""


class CountsLiving(Expires):
    async def count(self, kind: Kind, scope: Scope) -> int:
        return len(await self.page(kind, scope, newest_first=True, after=None, limit=None))


class BulkWritesNeverExpire(CountsLiving):
    """Forgets the expiry in bulk writes; the rows stay."""

    async def put_many(self, writes: Any) -> list[Record]:
        self.short = False
        return await super().put_many(writes)


class UpdatesDoNotRenew(CountsLiving):
    """An update leaves the end as it was."""

    async def put(self, write: Write) -> Record:
        entry = write.record.kind, write.record.key
        was_expired = entry in self.expired
        record = await super().put(write)
        if was_expired:
            self.expired.add(entry)
        return record


def _declare(check: str, cls: type[Expires]) -> None:
    def make(_: Path) -> BackendUnderTest:
        store = cls()

        class Short(StoreBackedMemoryDb):
            def upsert_memory(self, memory: Any, **options: Any) -> Any:
                store.short = True
                try:
                    return super().upsert_memory(memory, **options)
                finally:
                    store.short = False

            def upsert_memories(self, memories: Any) -> Any:
                store.short = True
                try:
                    return super().upsert_memories(memories)
                finally:
                    store.short = False

        return BackendUnderTest(
            open=lambda: StoreBackedMemoryDb(store),
            expiring=lambda seconds: (Short if seconds == 1 else StoreBackedMemoryDb)(store),
            wait_expired=lambda: None,
            waits=False,
        )

    BROKEN[cls.__name__, check] = make


_declare("R14-an-expired-row-is-gone-everywhere", KeepsExpiredRowsInTheCount)
_declare("R14-bulk-writes-expire-too-memory", BulkWritesNeverExpire)
_declare("R14-an-update-renews", UpdatesDoNotRenew)
