"""Writes that many tasks of an event loop want at once share statements: and so round trips, turns
of the loop, and the waits for a disk."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import Any, TypeVar

from buddy.memory.errors import MemoryDbError, UnavailableError
from buddy.memory.storage.crowd import Crowd, answer_of
from buddy.memory.storage.record import Kind, Record, Write
from buddy.memory.storage.sql.connect import NOTHING
from buddy.memory.storage.sql.guarded import NotText
from buddy.memory.storage.sql.store import SqlStore
from buddy.memory.storage.sql.writes import NewRow, Stored

T = TypeVar("T")

ROWS = 32
CHARACTERS = 16_000
"""How many calls share a statement, and how large each may be."""

Put = tuple[Write, NewRow]


class TogetherStore(SqlStore):
    """Upserts of single rows share statements; everything else is as it was.

    ``couriers`` is how many such statements of one event loop are under way at once.
    """

    couriers = 1

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._puts: dict[Kind, Crowd[Put, Record]] = {
            kind: Crowd(partial(self._put_all_of, kind), ROWS, self.couriers) for kind in Kind
        }

    async def put(self, write: Write) -> Record:
        if write.if_version is not None:
            return await super().put(write)
        (new,) = self._new_rows([write])
        if len(new[2]) > CHARACTERS:
            return await self._put_new(write, new)
        return await self._puts[write.record.kind].ask((write, new))

    async def _put_all_of(self, kind: Kind, puts: list[Put]) -> list[Record | Exception]:
        if len(puts) == 1:
            return [await self._put_new(*puts[0])]
        # An id once; and in one order, so that two such statements do not block each other.
        chosen = {new[0]: (write, new) for write, new in sorted(puts, key=lambda put: put[1][0])}
        latest = max((write for write, _ in puts), key=lambda write: write.now)
        rows = [new for _, new in chosen.values()]

        query = self._upsert_all(latest, rows)
        written = await unless_refused(self._write(self._connector.write, query), NOTHING)
        stored: dict[str, Stored] = {row[0]: row for row in written.rows}
        # What did not come back has to be told why.
        return [
            self._stored(write, stored[new[0]])
            if new[0] in stored and chosen[new[0]][0] is write
            else await answer_of(self._put_new(write, new))
            for write, new in puts
        ]


async def unless_refused(work: Awaitable[T], otherwise: T) -> T:
    """Return what ``work`` returns, or ``otherwise`` where it was refused and did nothing.

    Each call then has to hear its own reason. What concerns them all is raised.
    """
    try:
        return await work
    except UnavailableError:
        raise
    except (MemoryDbError, NotText):
        return otherwise
