"""Concurrent upserts of one event loop in shared statements: fewer round trips, turns of the loop
and waits for the disk."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import Any, TypeVar

from buddy.memory.errors import MemoryDbError, UnavailableError
from buddy.memory.storage.batching import Batcher, result_of
from buddy.memory.storage.record import Kind, Record, Write
from buddy.memory.storage.sql.connector import EMPTY, Query, Result, execute
from buddy.memory.storage.sql.statements import NewRow
from buddy.memory.storage.sql.store import SqlStore
from buddy.memory.storage.sql.writes import Stored, StoredKey

T = TypeVar("T")

MAX_BATCH = 32
"""The most calls that share a statement."""

MAX_CHARACTERS = 16_000
"""The longest payload of a call that shares one."""

Put = tuple[Write, NewRow]


class BatchingStore(SqlStore):
    """Sends concurrent upserts of single rows in shared statements.

    ``max_in_flight`` is how many such statements of one event loop are under way at once.
    """

    max_in_flight = 1

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._puts: dict[Kind, Batcher[Put, Record]] = {
            kind: Batcher(partial(self._put_batch, kind), MAX_BATCH, self.max_in_flight)
            for kind in Kind
        }

    async def put(self, write: Write) -> Record:
        if write.if_version is not None or write.keep:
            return await super().put(write)
        (new,) = self._new_rows([write])
        if len(new[2]) > MAX_CHARACTERS:
            return await self._put_new(write, new)
        return await self._puts[write.record.kind].submit((write, new))

    async def _put_batch(self, kind: Kind, puts: list[Put]) -> list[Record | Exception]:
        if len(puts) == 1:
            return [await self._put_new(*puts[0])]
        if len({write.ttl for write, _ in puts}) > 1:
            return await self._put_by_ttl(kind, puts)
        # Each key once; and in one order, so that two such statements do not block each other.
        chosen = {new[:2]: (write, new) for write, new in sorted(puts, key=_key)}
        latest = max((write for write, _ in puts), key=lambda write: write.now)
        query = self._upsert_all(latest, [new for _, new in chosen.values()])
        written = await result_unless_refused(self._write_batch(query), EMPTY)
        stored: dict[StoredKey, Stored] = {row[:2]: row for row in written.rows}

        async def result(write: Write, new: NewRow) -> Record:
            if new[:2] in stored and chosen[new[:2]][0] is write:
                return self._stored(write, stored[new[:2]])
            # What did not come back is written by itself, and gets its own error.
            return await self._put_new(write, new)

        return [await result_of(result(write, new)) for write, new in puts]

    async def _put_by_ttl(self, kind: Kind, puts: list[Put]) -> list[Record | Exception]:
        """A statement takes rows that live equally long."""
        groups: dict[Any, list[int]] = {}
        for number, (write, _) in enumerate(puts):
            groups.setdefault(write.ttl, []).append(number)
        results: dict[int, Record | Exception] = {}
        for numbers in groups.values():
            done = await self._put_batch(kind, [puts[number] for number in numbers])
            results.update(zip(numbers, done, strict=True))
        return [results[number] for number in range(len(puts))]

    async def _write_batch(self, query: Query) -> Result:
        """Run a statement of several calls: where its rows cannot be fetched, nothing is stored."""
        return await self._write(self._connector.transaction, lambda cursor: execute(cursor, query))


def _key(put: Put) -> StoredKey:
    return put[1][:2]


async def result_unless_refused(work: Awaitable[T], otherwise: T) -> T:
    """Return what ``work`` returns, or ``otherwise`` where it was refused and did nothing.

    Each call of the batch then has to get its own error. What concerns them all is raised.
    """
    try:
        return await work
    except UnavailableError:
        raise
    except MemoryDbError:
        return otherwise
