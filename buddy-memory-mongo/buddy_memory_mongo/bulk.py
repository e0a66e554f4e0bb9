"""Many writes in as few commands as the driver makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pymongo import DeleteOne, UpdateOne

from buddy.memory.errors import MemoryDbError
from buddy.memory.storage.record import Kind, Record, Write
from buddy_memory_mongo import documents
from buddy_memory_mongo.errors import BulkRefused

if TYPE_CHECKING:
    from buddy_memory_mongo.store import MongoStore

_PART = 1000
"""Rows that are written, or asked for, at once. The driver's objects for one part are gone before
those for the next are made: ten thousand rows of them cost the garbage collector more time than
nine more round trips take."""


class Bulk:
    """The writes of one call, unordered: one that is refused does not keep others from being
    stored. The order of the rows comes from their positions and not from that of the commands."""

    def __init__(self, store: MongoStore, writes: Sequence[Write]) -> None:
        self._store, self._writes = store, writes
        self._kind = writes[0].record.kind
        self._payloads = [documents.dump_payload(write.record) for write in writes]
        self._stored: dict[str, Record] = {}

    async def run(self) -> list[Record]:
        """Store all and return the records in order, or raise with ``stored_ids`` set."""
        pending = list(range(len(self._writes)))
        for plain in (True, False):
            # What the faster update refuses has met another owner, or a clock that is behind.
            if pending:
                pending = await self._send(pending, plain=plain)
        failure = await self._put_one_by_one(pending)
        if failure is not None:
            failure.stored_ids = self._stored_ids()
            raise failure
        return [self._stored[write.record.id] for write in self._writes]

    async def _send(self, pending: list[int], *, plain: bool) -> list[int]:
        """Send the pending writes; return those that were refused."""
        refused: list[int] = []
        for start in range(0, len(pending), _PART):
            refused += await self._send_some(pending[start : start + _PART], plain)
        return refused

    async def _send_some(self, pending: list[int], plain: bool) -> list[int]:
        positions = self._store.positions[self._kind].take(len(pending), self._writes[0].now)
        commands = [
            self._command(n, position, plain=plain)
            for n, position in zip(pending, positions, strict=True)
        ]
        refused: set[int] = set()
        try:
            result = await self._store.server.io(
                self._kind, lambda c: c.bulk_write(commands, ordered=False)
            )
            inserted = set(result.upserted_ids)
        except BulkRefused as error:
            refused = set(error.errors)
            inserted = {found["index"] for found in error.result["upserted"]}
        except MemoryDbError as error:
            error.stored_ids = await self._found_stored()
            raise
        for place in inserted:
            record = self._writes[pending[place]].record
            self._stored[record.id] = record
        updated = set(range(len(pending))) - refused - inserted
        await self._read_updated([self._writes[pending[place]].record for place in updated])
        return [pending[place] for place in sorted(refused)]

    def _command(self, n: int, position: Any, *, plain: bool) -> UpdateOne:
        write, payload = self._writes[n], self._payloads[n]
        if plain and documents.is_plain(write):
            return UpdateOne(*documents.plain_update(write, payload, position), upsert=True)
        return UpdateOne(*documents.full_update(write, payload, position), upsert=True)

    def _stored_ids(self) -> tuple[str, ...]:
        ids = (write.record.id for write in self._writes)
        return tuple(id for id in ids if id in self._stored)

    async def _read_updated(self, records: list[Record]) -> None:
        """Learn versions and times of the rows that were there before."""
        by_id = {record.id: record for record in records}
        for state in await self._states(list(by_id)):
            id = state[documents.ID[self._kind]]
            self._stored[id] = documents.stored(by_id.pop(id), state)
        for record in by_id.values():  # Deleted by others meanwhile; it was stored all the same.
            self._stored[record.id] = record

    async def _states(self, ids: list[str]) -> list[Any]:
        field, found = documents.ID[self._kind], []
        fields = {**documents.STATE, field: True}
        for start in range(0, len(ids), _PART):
            query: dict[str, Any] = {field: {"$in": ids[start : start + _PART]}}
            query |= documents.of_user(self._kind, None)
            found += await self._store.server.find(self._kind, query, fields, primary=True)
        return found

    async def _put_one_by_one(self, pending: list[int]) -> MemoryDbError | None:
        """Write what was refused twice, to learn why; return the first error."""
        failure: MemoryDbError | None = None
        for n in pending:
            write = self._writes[n]
            try:
                record = await self._store.put(write)
            except MemoryDbError as error:
                failure = failure or error
            else:
                self._stored[record.id] = record
        return failure

    async def _found_stored(self) -> tuple[str, ...]:
        """Return which rows an interrupted call left stored, as far as the server tells."""
        writes = {write.record.id: write for write in self._writes}
        try:
            states = await self._states(list(writes))
        except MemoryDbError:
            return ()
        found = [(writes[state[documents.ID[self._kind]]], state["updated_us"]) for state in states]
        return tuple(write.record.id for write, us in found if _bears(write, us))

    @staticmethod
    async def delete(store: MongoStore, kind: Kind, ids: Sequence[str], user_id: str | None) -> int:
        """Delete rows by their ids; return how many there were."""
        # Not one deleteMany: only single deletions are retried by the driver after an interruption.
        commands = [DeleteOne(documents.by_id(kind, id, user_id)) for id in ids]
        try:
            result = await store.server.io(kind, lambda c: c.bulk_write(commands, ordered=False))
        except BulkRefused as error:
            raise error.first() from error
        return int(result.deleted_count)


def _bears(write: Write, updated_us: int) -> bool:
    """Tell whether a row with that time is as the write made it, or as others changed it since."""
    first = documents.to_us(write.record.updated_at)
    return updated_us == first or updated_us >= documents.to_us(write.now)
