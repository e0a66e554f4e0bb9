"""Single-row writes: one command each, repeated where a concurrent write got in between."""

from __future__ import annotations

from functools import partial
from typing import Any

from bson import ObjectId
from pymongo import ReturnDocument

from buddy.memory.errors import ConflictError, CorruptMemoryError, SchemaError, UnavailableError
from buddy.memory.storage.record import Kind, Record, Write
from buddy_memory_mongo import encoding, updates
from buddy_memory_mongo.database import Database
from buddy_memory_mongo.deletions import remove_ended
from buddy_memory_mongo.encoding import Document
from buddy_memory_mongo.errors import NAME, Duplicate
from buddy_memory_mongo.positions import Positions
from buddy_memory_mongo.schema import Schema
from buddy_memory_mongo.updates import Prepared

ATTEMPTS = 100
"""How often a write is tried when another client gets in between each time."""


class Writer:
    """Writes of single rows, and what has to be done before any write."""

    def __init__(
        self, database: Database, schema: Schema, positions: dict[Kind, Positions]
    ) -> None:
        self.database, self.positions = database, positions
        self.schema = schema
        self._follows: set[Kind] = set()  # Where positions follow the rows stored before.

    async def before_writing(self, kind: Kind) -> None:
        """Make the collections at the first write (R5), and read which row is the newest (R3)."""
        if not self.schema.is_checked(kind):
            await self.database.single_flight("create", self.schema.create)
        if kind not in self._follows:
            newest = partial(self._newest, kind)
            self.positions[kind].follow(await self.database.single_flight(("newest", kind), newest))
            self._follows.add(kind)

    async def _newest(self, kind: Kind) -> ObjectId | None:
        found = await self.database.find(
            kind, encoding.mark(kind), {"_id": True}, sort=[("_id", -1)], limit=1, primary=True
        )
        return found[0]["_id"] if found else None

    async def put(self, prepared: Prepared) -> Record:
        """Write until it is done or refused."""
        write = prepared.write
        await self.before_writing(write.record.kind)
        plain = prepared.is_plain
        if write.has_end:
            await remove_ended(self.database, write.record.kind, [prepared.key])
        for _ in range(ATTEMPTS):
            try:
                state = await self._upsert(prepared, plain=plain)
            except Duplicate as error:
                self._check_index(write.record.kind, error)
                state = None
            if state is not None:
                return updates.stored(prepared, state)
            await self._explain(write)
            plain = False  # The stored time may be ahead of the clock.
        raise UnavailableError(NAME, f"gave up on {write.record.id!r}: too many concurrent writers")

    async def _upsert(self, prepared: Prepared, *, plain: bool) -> Document | None:
        """Return the state that one atomic command left, or None when no document matched."""
        write = prepared.write
        kind = write.record.kind
        (position,) = self.positions[kind].take(1, write.now)
        make = updates.plain_update if plain else updates.full_update
        filter, update = make(prepared, position)
        state: Document | None = await self.database.call(
            kind,
            lambda c: c.find_one_and_update(
                filter,
                update,
                projection=updates.STATE,
                upsert=not write.if_version,
                return_document=ReturnDocument.AFTER,
            ),
        )
        if state is not None and state["_id"] == position:
            self.schema.note_insert(kind)
        return state

    def _check_index(self, kind: Kind, refusal: Duplicate) -> None:
        """Return where the row exists and the write may be repeated; raise for a foreign index."""
        index = refusal.index
        if index is not None and tuple(index) not in (("user_id", encoding.ID[kind]), ("_id",)):
            raise SchemaError(
                f"A unique index of the collection {self.database.collections[kind]!r} on "
                f"{', '.join(index)} refuses the row.",
                "Drop that index: several rows may have the same value there.",
            ) from refusal

    async def _explain(self, write: Write) -> None:
        """Raise what kept the write from happening; return when it may be tried again."""
        kind, user_id, id, *_ = write.record
        query = encoding.by_key(kind, user_id, id)
        found: Any = await self.database.call(kind, lambda c: c.find_one(query), primary=True)
        if found is not None and not encoding.is_ours(kind, found):
            raise self.schema.layouts[kind].refusal(found)
        if found is not None and found.get("expires_at") is not None:
            await remove_ended(self.database, kind, [write.record.key])
            found = await self.database.call(kind, lambda c: c.find_one(query), primary=True)
        try:
            version = 0 if found is None else int(found.get("version", 0))
        except (TypeError, ValueError, OverflowError) as error:
            raise CorruptMemoryError(id, f"the version: {error}") from None
        if write.if_version is not None and write.if_version != version:
            raise ConflictError(id, write.if_version, version)
