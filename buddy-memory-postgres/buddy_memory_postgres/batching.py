"""PostgreSQL for asyncio: concurrent writes and reads of single rows share statements, and so round
trips, turns of the event loop, and the server's waits for its disk."""

from __future__ import annotations

from functools import partial
from typing import Any

from buddy.memory.storage.batching import Batcher, result_of
from buddy.memory.storage.record import Corrupt, Key, Kind, Record
from buddy.memory.storage.sql import Query, Result, batching
from buddy.memory.storage.sql.batching import MAX_BATCH, result_unless_refused
from buddy_memory_postgres.store import PostgresStore


class BatchingStore(batching.BatchingStore, PostgresStore):
    """Sends concurrent writes and reads of single rows in shared statements."""

    max_in_flight = 3
    """A row that is locked by another session blocks one of them."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._gets: dict[Kind, Batcher[Key, Record | Corrupt | None]] = {
            kind: Batcher(partial(self._get_batch, kind), MAX_BATCH, self.max_in_flight)
            for kind in Kind
        }

    async def _write_batch(self, query: Query) -> Result:
        # Without a transaction, which takes two round trips: what it returns can be read.
        return await self._write(self._connector.write, query)

    async def get(self, kind: Kind, user_id: str | None, id: str) -> Record | Corrupt | None:
        return await self._gets[kind].submit(Key(user_id, id))

    async def _get_batch(
        self, kind: Kind, keys: list[Key]
    ) -> list[Record | Corrupt | Exception | None]:
        get = super().get
        if len(keys) == 1:
            return [await get(kind, *keys[0])]
        found = await result_unless_refused(self.get_many(kind, keys), None)
        return [*found] if found else [await result_of(get(kind, *key)) for key in keys]
