"""Bulk writes: many rows in as few commands as the driver makes of them."""

from __future__ import annotations

from collections.abc import Sequence

from bson import ObjectId
from pymongo import UpdateOne

from buddy.memory.errors import CorruptMemoryError, MemoryDbError
from buddy.memory.storage.record import Key, Record
from buddy_memory_mongo import updates
from buddy_memory_mongo.deletions import remove_ended
from buddy_memory_mongo.encoding import Document
from buddy_memory_mongo.errors import BulkRefused, Duplicate
from buddy_memory_mongo.lookups import PART, find_keys
from buddy_memory_mongo.updates import Prepared
from buddy_memory_mongo.writing import Writer


class BulkWrite:
    """The writes of one call, of one kind and with distinct keys.

    Commands are unordered: one that is refused does not keep others from being stored. The order
    of the rows comes from their positions and not from that of the commands.
    """

    def __init__(self, writer: Writer, writes: Sequence[Prepared]) -> None:
        self._writer, self._writes = writer, writes
        self._kind = writes[0].write.record.kind
        self.stored: dict[Key, Record] = {}
        """The rows that are stored so far."""
        self.damaged: dict[Key, CorruptMemoryError] = {}
        """Rows that are stored and cannot be read, each with its own error."""

    async def run(self) -> list[Record]:
        """Store all and return the records in order, or raise with ``stored`` set."""
        try:
            await remove_ended(self._writer.database, self._kind, [one.key for one in self._writes])
            pending = await self.send(self._writes, plain=True)
            # The plain update is refused where the stored time is not before that of the write.
            pending = await self.send(pending, plain=False)
        except MemoryDbError as error:
            error.stored = await self._found_stored()
            raise
        failure = await self._put_one_by_one(pending)
        failure = failure or next(iter(self.damaged.values()), None)
        if failure is not None:
            failure.stored = tuple(one.key for one in self._writes if one.key in self.stored)
            raise failure
        return [self.stored[one.key] for one in self._writes]

    async def insert(self) -> list[Key]:
        """Store those that are not there; return their keys, or raise with ``stored`` set."""
        keys = [one.key for one in self._writes]
        await remove_ended(self._writer.database, self._kind, keys)
        inserted: list[Key] = []
        for start in range(0, len(self._writes), PART):
            part = self._writes[start : start + PART]
            try:
                inserted += await self._insert_part(part)
            except MemoryDbError as error:
                error.stored = tuple(inserted)
                raise
        return inserted

    async def _insert_part(self, part: Sequence[Prepared]) -> list[Key]:
        positions = self._writer.positions[self._kind].take(len(part), part[0].write.now)
        commands = [
            UpdateOne(*updates.insertion(one, position), upsert=True)
            for one, position in zip(part, positions, strict=True)
        ]
        try:
            result = await self._writer.database.call(
                self._kind, lambda c: c.bulk_write(commands, ordered=False), long=True
            )
            numbers = sorted(result.upserted_ids)
        except BulkRefused as error:
            # Another client stored some at the same time: they are there.
            if any(not isinstance(one, Duplicate) for one in error.errors.values()):
                raise error.first() from error
            numbers = sorted(found["index"] for found in error.result["upserted"])
        if numbers:
            self._writer.schema.note_insert(self._kind)
        return [part[number].key for number in numbers]

    async def send(self, writes: Sequence[Prepared], *, plain: bool) -> list[Prepared]:
        """Send these of the writes; return those that were refused."""
        refused: list[Prepared] = []
        for start in range(0, len(writes), PART):
            refused += await self._send_part(writes[start : start + PART], plain)
        return refused

    async def _send_part(self, part: Sequence[Prepared], plain: bool) -> list[Prepared]:
        positions = self._writer.positions[self._kind].take(len(part), part[0].write.now)
        commands = [
            _command(one, position, plain=plain)
            for one, position in zip(part, positions, strict=True)
        ]
        refused: set[int] = set()
        try:
            result = await self._writer.database.call(
                self._kind, lambda c: c.bulk_write(commands, ordered=False), long=True
            )
            inserted = set(result.upserted_ids)
        except BulkRefused as error:
            refused = set(error.errors)
            inserted = {found["index"] for found in error.result["upserted"]}
        if inserted:
            self._writer.schema.note_insert(self._kind)
        updated = []
        for n, one in enumerate(part):
            if n in inserted and one.write.ttl is None:
                self.stored[one.key] = one.write.record._replace(
                    stamp=int(one.stamp), position=str(positions[n])
                )
            elif n not in refused:
                updated.append(one)
        await self._read_updated(updated)
        return [part[n] for n in sorted(refused)]

    async def _read_updated(self, writes: list[Prepared]) -> None:
        """Read the versions and times of the rows that were there before."""
        states = await self._states(writes)
        for one in writes:
            state = states.get(one.key)
            # Without a state, another client has deleted the row meanwhile; it was stored.
            try:
                self.stored[one.key] = one.write.record if state is None else _as_left(one, state)
            except CorruptMemoryError as error:
                self.damaged[one.key] = error

    async def _states(self, writes: Sequence[Prepared]) -> dict[Key, Document]:
        return await find_keys(
            self._writer.database,
            self._kind,
            [one.key for one in writes],
            fields={**updates.STATE, "stamp": True},
            primary=True,
        )

    async def _put_one_by_one(self, writes: Sequence[Prepared]) -> MemoryDbError | None:
        """Write what was refused twice, which tells why; return the first error."""
        failure: MemoryDbError | None = None
        for one in writes:
            try:
                self.stored[one.key] = await self._writer.put(one)
            except MemoryDbError as error:
                failure = failure or error
        return failure

    async def _found_stored(self) -> tuple[Key, ...]:
        """Return which rows an interrupted call left stored, as far as the server tells."""
        try:
            states = await self._states(self._writes)
        except MemoryDbError:
            return ()
        return tuple(
            one.key
            for one in self._writes
            if one.key in states and states[one.key].get("stamp") == one.stamp
        )


def _command(prepared: Prepared, position: ObjectId, *, plain: bool) -> UpdateOne:
    if plain and prepared.is_plain:
        return UpdateOne(*updates.plain_update(prepared, position), upsert=True)
    return UpdateOne(*updates.full_update(prepared, position), upsert=True)


def _as_left(prepared: Prepared, state: Document) -> Record:
    """Return an updated row as the write left it, given the state it has now."""
    left = updates.stored(prepared, state)
    if state.get("stamp") == prepared.stamp:
        return left
    # Another client has written it since, at whatever time by its clock. With the version of that
    # write, the next conditional write would overwrite it unseen.
    return left._replace(updated_at=prepared.write.now, version=left.version - 1)
