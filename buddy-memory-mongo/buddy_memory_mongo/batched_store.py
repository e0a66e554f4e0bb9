"""MongoDB for asyncio: single-row calls that are made at the same time share commands.

Per-call overhead dominates small requests: a command costs the event loop more time than what it
carries.
"""

from __future__ import annotations

from asyncio import gather
from functools import partial
from typing import Any

from buddy.memory import payload
from buddy.memory.errors import CorruptMemoryError
from buddy.memory.storage.batching import Batcher, result_of
from buddy.memory.storage.record import Corrupt, Key, Kind, Record, Write
from buddy_memory_mongo import updates
from buddy_memory_mongo.bulk import BulkWrite
from buddy_memory_mongo.database import Database
from buddy_memory_mongo.store import MongoStore
from buddy_memory_mongo.updates import Prepared

ROWS = 64
BYTES = 16_000
"""How many calls share a command, and how large each may be. An event loop has one such command in
flight at a time, so that they do not overtake each other."""


class BatchedMongoStore(MongoStore):
    """Writes and reads of single rows share commands; everything else is as in MongoStore."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)

        def batcher(run_batch: Any, kind: Kind) -> Any:
            return Batcher(partial(run_batch, kind), ROWS)

        self._puts: dict[Kind, Batcher[Prepared, Record]] = {
            kind: batcher(self._put_batch, kind) for kind in Kind
        }
        self._gets: dict[Kind, Batcher[Key, Record | Corrupt | None]] = {
            kind: batcher(self._get_batch, kind) for kind in Kind
        }

    async def put(self, write: Write) -> Record:
        prepared = updates.prepare(write)
        if write.if_version is not None or not prepared.is_plain:
            return await self.writer.put(prepared)
        if len(prepared.payload.raw) + len(write.record.vector or b"") > BYTES:
            return await self.writer.put(prepared)
        return await self._puts[write.record.kind].submit(prepared)

    async def get(self, kind: Kind, user_id: str | None, id: str) -> Record | Corrupt | None:
        return await self._gets[kind].submit(Key(user_id, id))

    async def _put_batch(self, kind: Kind, puts: list[Prepared]) -> list[Record | Exception]:
        if len(puts) == 1:
            return [await self.writer.put(puts[0])]
        done = await self._put_first(kind, puts)
        results = [done.pop(one.key, None) for one in puts]
        # A write that was refused learns why; a second one of the same row is done now.
        alone = [one for one, result in zip(puts, results, strict=True) if result is None]
        outcomes = iter(await gather(*[result_of(self.writer.put(one)) for one in alone]))
        return [result or next(outcomes) for result in results]

    async def _put_first(
        self, kind: Kind, puts: list[Prepared]
    ) -> dict[Key, Record | CorruptMemoryError]:
        """Store the first write of each row; return what is stored, or why it cannot be read."""
        # An unordered command may do two writes of one row in any order.
        first: dict[Key, Prepared] = {}
        for one in puts:
            first.setdefault(one.key, one)
        if len(first) == 1:  # Its writers get its versions, one after the other.
            return {}
        bulk = BulkWrite(self.writer, list(first.values()))
        await self.writer.before_writing(kind)
        await bulk.send(list(first.values()), plain=True)
        return {**bulk.stored, **bulk.damaged}

    async def _get_batch(self, kind: Kind, keys: list[Key]) -> list[Record | Corrupt | None]:
        if len(keys) == 1:
            return [await super().get(kind, *keys[0])]
        distinct = list(dict.fromkeys(keys))
        found = dict(zip(distinct, await self.get_many(kind, distinct), strict=True))
        given: set[Key] = set()
        results = []
        for key in keys:
            results.append(_copied(found[key]) if key in given else found[key])
            given.add(key)
        return results


def _copied(row: Record | Corrupt | None) -> Record | Corrupt | None:
    """Return a row for one more of the tasks that asked for it: they may change what they get."""
    if not isinstance(row, Record):
        return row
    return row._replace(payload=payload.encode(row.payload))
