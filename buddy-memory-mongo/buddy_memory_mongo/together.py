"""MongoDB for asyncio: what many tasks want at once shares commands.

A command costs the driver more of the event loop's time than what it carries, so that many tasks
would be slower than a few threads.
"""

from __future__ import annotations

from asyncio import gather
from functools import partial
from typing import Any

from buddy.memory import payload
from buddy.memory.storage.crowd import Crowd, answer_of
from buddy.memory.storage.record import Corrupt, Kind, Record, Write
from buddy_memory_mongo import documents
from buddy_memory_mongo.bulk import Bulk
from buddy_memory_mongo.server import Server
from buddy_memory_mongo.store import MongoStore

ROWS = 64
BYTES = 16_000
"""How many calls share a command, and how large each may be. One such command of an event loop is
under way at a time: so they do not overtake each other."""

Put = tuple[Write, Any]
"""A write, and its payload as BSON."""


class TogetherStore(MongoStore):
    """Writes and reads of single rows share commands; everything else is as in MongoStore."""

    def __init__(self, server: Server) -> None:
        super().__init__(server)

        def crowd(together: Any, kind: Kind) -> Any:
            return Crowd(partial(together, kind), ROWS)

        self._puts: dict[Kind, Crowd[Put, Record]] = {k: crowd(self._put_all_of, k) for k in Kind}
        self._gets: dict[Kind, Crowd[str, Record | Corrupt | None]] = {
            k: crowd(self._get_all_of, k) for k in Kind
        }

    async def put(self, write: Write) -> Record:
        dumped = documents.dump_payload(write.record)
        plain = write.if_version is None and documents.is_plain(write)
        if not plain or len(dumped.raw) > BYTES:
            return await self.put_dumped(write, dumped)
        return await self._puts[write.record.kind].ask((write, dumped))

    async def get(self, kind: Kind, id: str, user_id: str | None) -> Record | Corrupt | None:
        found = await self._gets[kind].ask(id)
        return found if found and user_id in (None, found.user_id) else None

    async def _put_all_of(self, kind: Kind, puts: list[Put]) -> list[Record | Exception]:
        if len(puts) == 1:
            return [await self.put_dumped(*puts[0])]
        stored = await self._store_all_of(kind, puts)
        answers = [stored.pop(write.record.id, None) for write, _ in puts]
        # What was refused has to be told why, and what came second for a row comes now.
        alone = [put for put, answer in zip(puts, answers, strict=True) if answer is None]
        told = iter(await gather(*[answer_of(self.put_dumped(*put)) for put in alone]))
        return [answer or next(told) for answer in answers]

    async def _store_all_of(self, kind: Kind, puts: list[Put]) -> dict[str, Record]:
        """Store the first write of each id; return what is stored, by id."""
        # An unordered command may do two writes of one row in any order.
        first: dict[str, Put] = {}
        for put in puts:
            first.setdefault(put[0].record.id, put)
        if len(first) == 1:  # Its writers hear of its versions, one after the other.
            return {}
        bulk = Bulk(self, *zip(*first.values(), strict=True))
        await self.before_writing(kind)
        await bulk.send(range(len(first)), plain=True)
        return bulk.stored

    async def _get_all_of(self, kind: Kind, ids: list[str]) -> list[Record | Corrupt | None]:
        if len(ids) == 1:
            return [await super().get(kind, ids[0], None)]
        query = {documents.ID[kind]: {"$in": list(dict.fromkeys(ids))}}
        found = await self.server.find_ours(kind, query)
        if not found:
            await self._setup.check_nothing(kind)
        rows = {row.id: row for row in map(partial(documents.decode, kind), found)}
        return [_own(rows.get(id), is_first=ids.index(id) == n) for n, id in enumerate(ids)]


def _own(row: Record | Corrupt | None, *, is_first: bool) -> Record | Corrupt | None:
    """Return a row for one of the tasks that asked for it: they may change what they are given."""
    if is_first or not isinstance(row, Record):
        return row
    return row._replace(payload=payload.encode(row.payload))
