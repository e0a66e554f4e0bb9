"""A MongoDB database as a Store: one collection of memories, one of summaries.

Read it from here: ``documents`` is what is stored, ``server`` how it is reached, ``setup`` what is
made beforehand, ``bulk`` many writes at once, and ``sharded`` what differs on a sharded cluster.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any

from bson import ObjectId
from pymongo import ReturnDocument

from buddy.memory.errors import (
    ConflictError,
    OwnerMismatchError,
    SchemaError,
    UnavailableError,
)
from buddy.memory.storage.record import Corrupt, Kind, Record, Write
from buddy.memory.storage.store import Store
from buddy_memory_mongo import documents, facts
from buddy_memory_mongo.bulk import Bulk
from buddy_memory_mongo.errors import NAME, Duplicate
from buddy_memory_mongo.facts import risks
from buddy_memory_mongo.known import known_of
from buddy_memory_mongo.server import Server
from buddy_memory_mongo.setup import Setup

ATTEMPTS = 100
"""How often a write is tried that others overtake each time."""


class MongoStore(Store):
    """Two collections of a database."""

    unique_ids = True

    def __init__(self, server: Server) -> None:
        self.server = server
        self._known = known_of(
            server.place, server.database, *server.names.values(), self.unique_ids
        )
        self._setup = Setup(server, self._known.seen_complete, unique_ids=self.unique_ids)
        self.positions = self._known.positions
        self._follows: set[Kind] = set()  # Where positions follow what was stored before.

    # --- the collections

    async def create(self) -> None:
        await self._setup.create()

    async def exists(self) -> bool:
        return await self._setup.exists()

    async def drop(self) -> None:
        await self._setup.drop()

    def older(self) -> AsyncIterator[list[Record | Corrupt]]:
        from buddy_memory_mongo.upgrade import older  # Few stores have any.

        return older(self.server, self._setup.layouts[Kind.MEMORY])

    async def upgrade(self) -> None:
        await self._setup.upgrade()

    # --- writing

    async def put(self, write: Write) -> Record:
        return await self.put_dumped(write, documents.dump_payload(write.record))

    async def put_dumped(self, write: Write, payload: Any) -> Record:
        """Write until it is done or refused."""
        await self.before_writing(write.record.kind)
        plain = documents.is_plain(write)
        for _ in range(ATTEMPTS):
            try:
                state = await self._upsert(write, payload, plain=plain)
            except Duplicate as error:
                self._check_index(write.record, error)
                state = None
            if state is not None:
                return documents.stored(write.record, state)
            await self._explain(write)
            plain = False  # The stored time may be ahead of the clock.
        raise UnavailableError(NAME, f"others kept writing {write.record.id!r} at the same time")

    async def before_writing(self, kind: Kind) -> None:
        """Make the collections at the first write (R5), and learn where the stored rows end."""
        if not self._setup.is_ready(kind):
            await self.server.together("create", self.create)
        if kind not in self._follows:
            last = await self.server.together(("last", kind), partial(self._last, kind))
            self.positions[kind].follow(last)
            self._follows.add(kind)

    async def _last(self, kind: Kind) -> ObjectId | None:
        found = await self.server.find(
            kind, documents.mark(kind), {"_id": True}, sort=[("_id", -1)], limit=1, primary=True
        )
        return found[0]["_id"] if found else None

    async def _upsert(self, write: Write, payload: Any, *, plain: bool, insert: bool = True) -> Any:
        """Return the state that one atomic command left, or None when no document matched."""
        kind = write.record.kind
        (position,) = self.positions[kind].take(1, write.now)
        make = documents.plain_update if plain else documents.full_update
        filter, update = make(write, payload, position)
        return await self.server.io(
            kind,
            lambda c: c.find_one_and_update(
                filter,
                update,
                projection=documents.STATE,
                upsert=insert and not write.if_version,
                return_document=ReturnDocument.AFTER,
            ),
        )

    def _check_index(self, record: Record, refusal: Duplicate) -> None:
        index = refusal.index
        if index is not None and set(index) - {documents.ID[record.kind], "_id"}:
            raise SchemaError(
                f"A unique index of the collection {self.server.names[record.kind]!r} on "
                f"{', '.join(index)} refuses the row.",
                "Drop that index: several rows may have the same value there.",
            ) from refusal

    async def _explain(self, write: Write) -> None:
        """Raise what kept the write from happening; return when it may be tried again."""
        kind, id, user_id = write.record.kind, write.record.id, write.record.user_id
        query = {documents.ID[kind]: id}
        found = await self.server.io(kind, lambda c: c.find_one(query), primary=True)
        version = 0 if found is None else found.get("version")
        if found is not None and not documents.is_ours(kind, found):
            raise self._setup.layouts[kind].refusal(found)
        if found is not None and found.get("user_id") != user_id:
            raise OwnerMismatchError(id)
        if write.if_version is not None and write.if_version != version:
            raise ConflictError(id, write.if_version, int(version))

    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        bulk = Bulk(self, writes, [documents.dump_payload(write.record) for write in writes])
        await self.before_writing(writes[0].record.kind)
        return await bulk.run()

    # --- reading

    async def get(self, kind: Kind, id: str, user_id: str | None) -> Record | Corrupt | None:
        found = await self._find(kind, id, user_id, None)
        return None if found is None else documents.decode(kind, found)

    async def has(self, kind: Kind, id: str, user_id: str | None) -> bool:
        return await self._find(kind, id, user_id, documents.OWNER[kind]) is not None

    async def _find(self, kind: Kind, id: str, user_id: str | None, fields: Any) -> Any:
        """Return the document with that id (of that user), or None."""
        query = self._by_id(kind, id, user_id)
        found = await self.server.find_ours(kind, query, projection=fields, limit=-1)
        if not found:
            await self._setup.check_nothing(kind)
            return None
        # The owner is compared here: an index has the ids, and none has both.
        return found[0] if user_id in (None, found[0].get("user_id")) else None

    def _by_id(self, kind: Kind, id: str, user_id: str | None) -> dict[str, Any]:
        """Return the filter that leads to an id (of that user) by the fewest steps."""
        return {documents.ID[kind]: id}

    async def page(
        self,
        kind: Kind,
        user_id: str | None,
        *,
        newest_first: bool,
        after: Any,
        limit: int | None,
    ) -> list[Record | Corrupt]:
        query: dict[str, Any] = {} if user_id is None else {"user_id": user_id}
        if after is not None:
            query["_id"] = {"$lt" if newest_first else "$gt": after}
        # The server takes 31 bits, and returns all in one answer where that is possible.
        limit = min(limit or 0, 2**31 - 2)
        order = [("_id", -1 if newest_first else 1)]
        found = await self.server.find_ours(kind, query, sort=order, limit=limit, batch_size=limit)
        if not found:
            await self._setup.check_nothing(kind)
        return [documents.decode(kind, document) for document in found]

    async def count(self, kind: Kind, user_id: str | None) -> int:
        query = documents.of_user(kind, user_id)
        found = await self.server.io(kind, lambda c: c.count_documents(query))
        return await self._number(kind, found)

    async def _number(self, kind: Kind, found: int) -> int:
        """Return how many there were, after a look whether none may be said."""
        if not found:
            await self._setup.check_nothing(kind)
        return int(found)

    # --- deleting

    async def delete(
        self, kind: Kind, id: str, user_id: str | None, if_version: int | None
    ) -> bool:
        query = documents.by_id(kind, id, user_id)
        exact = query if if_version is None else {**query, "version": if_version}
        if await self._delete_one(kind, exact):
            return True
        await self._setup.check_nothing(kind)
        if if_version is not None:
            found = await self.server.io(kind, lambda c: c.find_one(query), primary=True)
            version = 0 if found is None else found["version"]
            if version != if_version:
                raise ConflictError(id, if_version, int(version))
        return False

    async def _delete_one(self, kind: Kind, query: dict[str, Any]) -> int:
        result = await self.server.io(kind, lambda c: c.delete_one(query))
        return int(result.deleted_count)

    async def delete_many(self, kind: Kind, ids: Sequence[str], user_id: str | None) -> int:
        return await self._number(kind, await Bulk.delete(self, kind, ids, user_id))

    async def delete_all(self, kind: Kind, user_id: str | None) -> int:
        query = documents.of_user(kind, user_id)
        result = await self.server.io(kind, lambda c: c.delete_many(query))
        return await self._number(kind, result.deleted_count)

    # --- the rest

    async def ping(self) -> None:
        await self.server.run(lambda client: client[self.server.database].command("ping"))

    async def facts(self) -> dict[str, str]:
        return await facts.ask(self.server)

    def risks(self, facts: Mapping[str, str]) -> list[str]:
        return risks(facts)

    async def close(self) -> None:
        await self.server.close()
