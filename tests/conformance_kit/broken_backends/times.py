"""R2: times."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.record import Key, Record, Write
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
from tests.conformance_kit.broken_backends.declare import on_db, on_store, rewritten


@on_store("R2-created-at-survives-and-updated-at-moves-memory")
class ResetsCreatedAt(InMemoryStore):
    async def put(self, write: Write) -> Record:
        record = await super().put(write)
        record = record._replace(created_at=record.updated_at)
        self._of(record.kind)[record.key] = record
        return record


@on_store("R2-times-are-aware-utc-to-the-microsecond-memory")
class CutsToMilliseconds(InMemoryStore):
    async def put(self, write: Write) -> Record:
        def cut(time: datetime) -> datetime:
            return time.replace(microsecond=time.microsecond // 1000 * 1000)

        record = write.record
        write = rewritten(
            write, created_at=cut(record.created_at), updated_at=cut(record.updated_at)
        )
        return await super().put(write)


@on_store("R2-a-row-written-anew-has-times-of-its-own-memory")
class RemembersDeletedRows(InMemoryStore):
    """Hides what is deleted, and shows it again with the times that it had."""

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[Key, datetime] = {}

    async def put(self, write: Write) -> Record:
        made = self.made.setdefault(write.record.key, write.record.created_at or write.now)
        return await super().put(rewritten(write, created_at=made))


@on_store("R2-times-move-within-a-tick-and-when-the-clock-steps-back-memory")
class TrustsTheClock(InMemoryStore):
    async def put(self, write: Write) -> Record:
        record = await super().put(write)
        if record.version > 1:
            record = record._replace(updated_at=write.now)
            self._of(record.kind)[record.key] = record
        return record


@on_store("R2-times-of-the-caller-are-kept-on-the-first-write-memory")
class IgnoresGivenTimes(InMemoryStore):
    async def put(self, write: Write) -> Record:
        return await super().put(rewritten(write, created_at=write.now, updated_at=write.now))


@on_store("R2-times-of-the-caller-are-kept-on-the-first-write-memory")
class TakesTimesInBulkUpdates(InMemoryStore):
    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        records = await super().put_many(writes)
        for n, write in enumerate(writes):
            if write.record.created_at != write.now:  # The caller gave one.
                records[n] = records[n]._replace(created_at=write.record.created_at)
                self._of(records[n].kind)[records[n].key] = records[n]
        return records


@on_store("R2-times-far-from-now-are-kept-memory")
class KeepsTimesAsFloats(InMemoryStore):
    async def put(self, write: Write) -> Record:
        record = write.record
        times = (record.created_at.timestamp(), record.updated_at.timestamp())
        created, updated = (datetime.fromtimestamp(seconds, timezone.utc) for seconds in times)
        return await super().put(rewritten(write, created_at=created, updated_at=updated))


@on_db("R2-a-naive-time-is-local-and-another-zone-is-converted-memory")
class CutsTheZoneOff(StoreBackedMemoryDb):
    def upsert_memory(self, memory: Any, **options: Any) -> Any:
        row = super().upsert_memory(memory, **options)
        zone = memory.created_at and memory.created_at.utcoffset()
        row.created_at += zone or timedelta(0)
        return row
