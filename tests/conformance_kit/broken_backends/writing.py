"""R6: writes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

from buddy.memory.errors import InvalidMemoryError, MemoryDbError, TooLargeError
from buddy.memory.payload import to_json
from buddy.memory.storage import clock
from buddy.memory.storage.clock import EPOCH
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.record import Key, Kind, Record, Scope, Write, merge
from buddy.memory.v2.db.schema import MemoryRow
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
from tests.conformance_kit.broken_backends.declare import on_db, on_store, pause, rewritten


@on_store("R6-a-repeated-upsert-leaves-one-row-memory")
class KeepsTheFirstContent(InMemoryStore):
    async def put(self, write: Write) -> Record:
        found = self._of(write.record.kind).get(write.record.key)
        payload = write.record.payload if found is None else found.payload
        return await super().put(rewritten(write, payload=payload))


@on_store("R6-concurrent-upserts-of-one-id-leave-one-row-memory")
class ChecksThenInserts(InMemoryStore):
    async def put(self, write: Write) -> Record:
        await self.create()
        records, key = self._of(write.record.kind), write.record.key
        merged = merge(records.get(key), write, clock.utc_now())
        time.sleep(0.0001)  # noqa: ASYNC251  (what a second round trip takes)
        records[key] = merged._replace(position=merged.position or next(self._positions))
        return deepcopy(records[key])


@on_store("R6-concurrent-bulk-writes-all-count-memory")
class ReadsFirstAndWritesAllLater(InMemoryStore):
    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        await self.create()
        records = self._of(writes[0].record.kind)
        merged = [merge(records.get(w.record.key), w, clock.utc_now()) for w in writes]
        time.sleep(0.001)  # noqa: ASYNC251  (what a second round trip takes)
        for n, record in enumerate(merged):
            merged[n] = record._replace(position=record.position or next(self._positions))
            records[record.key] = merged[n]
        return deepcopy(merged)


@on_store("R6-concurrent-first-writes-all-arrive")
class MakesThePlaceTwice(InMemoryStore):
    """Who sees no place makes it, also when another one has made it and written there meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.makers = 0

    async def create(self) -> None:
        if self._records is not None:
            return
        self.makers += 1
        if self.makers == 1:
            self._wait(lambda: self.makers > 1)
        else:
            self._wait(lambda: any(self._of(Kind.MEMORY)))
        self._records = {kind: {} for kind in Kind}

    def _wait(self, has_happened: Callable[[], bool]) -> None:
        for _ in range(500):
            if not has_happened():
                pause()

    async def put(self, write: Write) -> Record:
        await self.create()
        return await super().put(write)


class RefusesLargeRows(InMemoryStore):
    """Holds rows of up to a million characters, which it finds out when it writes them."""

    async def put(self, write: Write) -> Record:
        size = len(to_json(write.record.payload))
        if size > 1_000_000:
            raise TooLargeError(size, 1_000_000)
        return await super().put(write)


@on_store("R6-a-failed-bulk-write-names-what-is-stored-memory")
class ForgetsWhatIsStored(RefusesLargeRows):
    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        try:
            return await super().put_many(writes)
        except MemoryDbError as error:
            error.stored = ()
            raise


@on_store("R6-a-failed-bulk-write-names-what-is-stored-memory")
class ForgetsTheChunksBefore(RefusesLargeRows):
    """Writes in chunks, each of which says what is stored of it."""

    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        records: list[Record] = []
        for start in range(0, len(writes), 500):
            records += await super().put_many(writes[start : start + 500])
        return records


@on_store("R6-a-failed-bulk-write-names-what-is-stored-summary")
class NamesWhatIsStoredByIdAlone(RefusesLargeRows):
    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        try:
            return await super().put_many(writes)
        except MemoryDbError as error:
            error.stored = tuple(Key("ann", id) for _, id in error.stored)
            raise


@on_db("R6-a-refused-bulk-write-stores-nothing-memory")
class ChecksRowsOneByOne(StoreBackedMemoryDb):
    def upsert_memories(self, memories: Any) -> Any:
        return [self.upsert_memory(memory) for memory in memories]


@on_store("R6-what-is-written-is-seen-by-others-at-once-memory")
class DeletesNothing(InMemoryStore):
    async def delete(self, kind: Kind, user_id: Any, id: str, if_version: Any) -> bool:
        return await self.has(kind, user_id, id)


@on_db("R6-bulk-writes-insert-and-update-memory")
class ReturnsWhatWasGiven(StoreBackedMemoryDb):
    def upsert_memories(self, memories: Any) -> Any:
        memories = list(memories)
        super().upsert_memories(memories)
        return memories


@on_store("R6-bulk-writes-take-any-size-memory")
class ListsAThousandAtMost(InMemoryStore):
    async def page(self, kind: Kind, scope: Scope, **options: Any) -> Any:
        options["limit"] = min(options["limit"] or 1000, 1000)
        return await super().page(kind, scope, **options)


@on_store("R6-of-many-deletions-at-once-one-is-true-memory")
class LooksThenDeletes(InMemoryStore):
    async def delete(self, kind: Kind, user_id: Any, id: str, if_version: Any) -> bool:
        found = await self.has(kind, user_id, id)
        pause()
        await super().delete(kind, user_id, id, if_version)
        return found


@on_db("R6-a-row-is-taken-by-its-attributes")
class TakesRowsOfItsClassOnly(StoreBackedMemoryDb):
    def upsert_memory(self, memory: Any, **options: Any) -> Any:
        if not isinstance(memory, MemoryRow):
            raise InvalidMemoryError(f"{type(memory).__name__} is no MemoryRow")
        return super().upsert_memory(memory, **options)


@on_db("R6-what-is-no-row-is-refused")
class TakesAnythingForARow(StoreBackedMemoryDb):
    def upsert_memory(self, memory: Any, **options: Any) -> Any:
        if not hasattr(memory, "user_id"):
            memory = MemoryRow({"repr": repr(memory)})
        return super().upsert_memory(memory, **options)


@on_store("R6-a-restored-row-is-stored-or-left-alone-memory")
class RestoresTheLastFirst(InMemoryStore):
    async def restore(self, writes: Any) -> list[Key]:
        return (await super().restore(writes[::-1]))[::-1]


@on_store("R6-a-restored-row-is-stored-or-left-alone-memory")
class RestoresVersionsOf32Bits(InMemoryStore):
    async def restore(self, writes: Any) -> list[Key]:
        cut = [
            w._replace(record=w.record._replace(version=w.record.version % 2**31)) for w in writes
        ]
        return await super().restore(cut)


@on_store("R6-a-restored-row-is-stored-or-left-alone-memory")
class RestoresNothingBefore1970(InMemoryStore):
    async def restore(self, writes: Any) -> list[Key]:
        late = [
            w._replace(record=w.record._replace(created_at=max(w.record.created_at, EPOCH)))
            for w in writes
        ]
        return await super().restore(late)


@on_store("R6-a-restored-row-is-stored-or-left-alone-memory")
class RestoresOverWhatIsThere(InMemoryStore):
    """A row that is restored twice is written twice."""

    async def restore(self, writes: Any) -> list[Key]:
        return [record.key for record in await self.put_many(writes)]
