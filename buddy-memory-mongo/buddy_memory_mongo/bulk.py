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

    def __init__(self, store: MongoStore, writes: Sequence[Write], payloads: Sequence[Any]) -> None:
        self._store, self._writes, self._payloads = store, writes, payloads
        self._kind = writes[0].record.kind
        self.stored: dict[str, Record] = {}
        """What is stored so far, by id."""

    async def run(self) -> list[Record]:
        """Store all and return the records in order, or raise with ``stored_ids`` set."""
        try:
            pending = await self.send(range(len(self._writes)), plain=True)
            # What the faster update refuses has met another owner, or a clock that is behind.
            pending = await self.send(pending, plain=False)
        except MemoryDbError as error:
            error.stored_ids = await self._found_stored()
            raise
        failure = await self._put_one_by_one(pending)
        if failure is not None:
            failure.stored_ids = self._stored_ids()
            raise failure
        return [self.stored[write.record.id] for write in self._writes]

    async def send(self, pending: Sequence[int], *, plain: bool) -> list[int]:
        """Send the pending writes, which are places; return those that were refused."""
        refused: list[int] = []
        for start in range(0, len(pending), _PART):
            refused += await self._send_some(pending[start : start + _PART], plain)
        return refused

    async def _send_some(self, pending: Sequence[int], plain: bool) -> list[int]:
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
        for place in inserted:
            record = self._writes[pending[place]].record
            self.stored[record.id] = record
        updated = set(range(len(pending))) - refused - inserted
        await self._read_updated([self._writes[pending[place]] for place in updated], plain)
        return [pending[place] for place in sorted(refused)]

    def _command(self, n: int, position: Any, *, plain: bool) -> UpdateOne:
        write, payload = self._writes[n], self._payloads[n]
        if plain and documents.is_plain(write):
            return UpdateOne(*documents.plain_update(write, payload, position), upsert=True)
        return UpdateOne(*documents.full_update(write, payload, position), upsert=True)

    def _stored_ids(self) -> tuple[str, ...]:
        ids = (write.record.id for write in self._writes)
        return tuple(id for id in ids if id in self.stored)

    async def _read_updated(self, writes: list[Write], plain: bool) -> None:
        """Learn versions and times of the rows that were there before."""
        by_id = {write.record.id: write for write in writes}
        for state in await self._states(list(by_id)):
            id = state[documents.ID[self._kind]]
            self.stored[id] = _as_left(by_id.pop(id), state, plain)
        for id, write in by_id.items():  # Deleted by others meanwhile; it was stored all the same.
            self.stored[id] = write.record

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
                record = await self._store.put_dumped(write, self._payloads[n])
            except MemoryDbError as error:
                failure = failure or error
            else:
                self.stored[record.id] = record
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


def _as_left(write: Write, state: documents.Document, plain: bool) -> Record:
    """Return an updated row as the write left it, given the state it has now."""
    left = documents.stored(write.record, state)
    if plain and documents.is_plain(write) and left.updated_at > write.now:
        # Others have changed it since. It must not pass for theirs: with their version, the next
        # conditional write would overwrite what they wrote.
        left = left._replace(updated_at=write.now, version=left.version - 1)
    return left


def _bears(write: Write, updated_us: int) -> bool:
    """Tell whether a row with that time is as the write made it, or as others changed it since."""
    first = documents.to_us(write.record.updated_at)
    return updated_us == first or updated_us >= documents.to_us(write.now)
