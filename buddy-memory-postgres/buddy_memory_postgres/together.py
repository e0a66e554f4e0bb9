"""PostgreSQL for asyncio: what many tasks want at once shares statements, and so round trips, turns
of the event loop, and the server's waits for its disk."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import Any, TypeVar

from buddy.memory.errors import MemoryDbError, UnavailableError
from buddy.memory.storage.crowd import Crowd
from buddy.memory.storage.record import Corrupt, Kind, Record, Write
from buddy.memory.storage.sql.connect import NOTHING
from buddy.memory.storage.sql.guarded import NotText
from buddy.memory.storage.sql.writes import NewRow, Stored
from buddy_memory_postgres.store import PostgresStore

T = TypeVar("T")

ROWS = 32
CHARACTERS = 16_000
COURIERS = 3
"""How many calls share a statement, how large each may be, and how many such statements of one
event loop are under way at once: a row that another session has locked holds up one of them."""

Put = tuple[Write, NewRow]


class TogetherStore(PostgresStore):
    """Writes and reads of single rows share statements; everything else is as in PostgresStore."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)

        def crowd(together: Any, kind: Kind) -> Any:
            return Crowd(partial(together, kind), ROWS, COURIERS)

        self._puts: dict[Kind, Crowd[Put, Record]] = {k: crowd(self._put_all_of, k) for k in Kind}
        self._gets: dict[Kind, Crowd[str, Record | Corrupt | None]] = {
            k: crowd(self._get_all_of, k) for k in Kind
        }

    async def put(self, write: Write) -> Record:
        if write.if_version is not None:
            return await super().put(write)
        (new,) = self._new_rows([write])
        if len(new[2]) > CHARACTERS:
            return await self._put_new(write, new)
        return await self._puts[write.record.kind].ask((write, new))

    async def get(self, kind: Kind, id: str, user_id: str | None) -> Record | Corrupt | None:
        if "user_id" in self._dialect.identity:  # An id is not one row.
            return await super().get(kind, id, user_id)
        found = await self._gets[kind].ask(id)
        return found if found and user_id in (None, found.user_id) else None

    async def _put_all_of(self, kind: Kind, puts: list[Put]) -> list[Record | Exception]:
        if len(puts) == 1:
            return [await self._put_new(*puts[0])]
        # An id once; and in one order, so that two such statements do not block each other.
        chosen = {new[0]: (write, new) for write, new in sorted(puts, key=lambda put: put[1][0])}
        latest = max((write for write, _ in puts), key=lambda write: write.now)
        rows = [new for _, new in chosen.values()]

        query = self._upsert_all(latest, rows)
        written = await _unless_refused(self._write(self._connector.write, query), NOTHING)
        stored: dict[str, Stored] = {row[0]: row for row in written.rows}
        # What did not come back has to be told why.
        return [
            self._stored(write, stored[new[0]])
            if new[0] in stored and chosen[new[0]][0] is write
            else await _answer(self._put_new(write, new))
            for write, new in puts
        ]

    async def _get_all_of(
        self, kind: Kind, ids: list[str]
    ) -> list[Record | Corrupt | Exception | None]:
        if len(ids) == 1:
            return [await super().get(kind, ids[0], None)]
        query = self._statements[kind].get_ids().query({"p_ids": ids})
        reading = self._unless_missing(self._connector.read, query, NOTHING)
        found = await _unless_refused(reading, None)
        if found is None:
            return [await _answer(super(TogetherStore, self).get(kind, id, None)) for id in ids]
        rows = {row[1]: row for row in found.rows}
        # Each its own: two tasks may have asked for one row.
        return [self._decode(kind, rows[id]) if id in rows else None for id in ids]


async def _unless_refused(work: Awaitable[T], otherwise: T) -> T:
    """Return what ``work`` returns, or ``otherwise`` where it was refused and did nothing.

    Each call then has to hear its own reason. What concerns them all is raised.
    """
    try:
        return await work
    except UnavailableError:
        raise
    except (MemoryDbError, NotText):
        return otherwise


async def _answer(call: Awaitable[T]) -> T | Exception:
    try:
        return await call
    except Exception as error:
        return error
