"""A MongoDB database as a Store: one collection of memories, one of summaries.

``encoding`` has the documents, ``database`` the calls of the driver, ``schema`` what is made
beforehand, ``writing`` and ``bulk`` the writes, and ``lookups`` the reads that need more than one
query.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import timedelta
from math import isfinite
from operator import methodcaller
from typing import Any

from bson.int64 import Int64

from buddy.memory.errors import ConflictError
from buddy.memory.storage.record import (
    Corrupt,
    Key,
    Kind,
    Reach,
    Record,
    Scope,
    Write,
    new_stamp,
)
from buddy.memory.storage.store import Ended, Store
from buddy.memory.storage.users import decode_user
from buddy_memory_mongo import encoding, expiry, lookups, server_info, updates
from buddy_memory_mongo.bulk import BulkWrite
from buddy_memory_mongo.database import Database
from buddy_memory_mongo.deletions import delete_keys, delete_scope, remove_ended
from buddy_memory_mongo.encoding import Document
from buddy_memory_mongo.ends import ALIVE
from buddy_memory_mongo.process_state import process_state
from buddy_memory_mongo.schema import Schema
from buddy_memory_mongo.writing import Writer

_MAX_LIMIT = 2**31 - 2
"""The server takes 31 bits."""


class MongoStore(Store):
    """Two collections of a database."""

    sums_stamps = True

    position_type = str

    def __init__(self, database: Database) -> None:
        self.database = database
        self.state = process_state(database.server, database.name, *database.collections.values())
        self.schema = Schema(database, self.state)
        self.writer = Writer(database, self.schema, self.state.positions)

    # --- the collections

    async def create(self) -> None:
        await self.schema.create()

    async def exists(self) -> bool:
        return await self.schema.exists()

    async def drop(self) -> None:
        await self.schema.drop()

    async def ping(self) -> None:
        await self.database.call_client(lambda c: c[self.database.name].command("ping"))

    async def close(self) -> None:
        await self.database.close()

    # --- writing

    async def put(self, write: Write) -> Record:
        return await self.writer.put(updates.prepare(write))

    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        prepared = [updates.prepare(write) for write in writes]
        await self.writer.before_writing(writes[0].record.kind)
        return await BulkWrite(self.writer, prepared).run()

    async def restore(self, writes: Sequence[Write]) -> list[Key]:
        prepared = [updates.prepare(write) for write in writes]
        await self.writer.before_writing(writes[0].record.kind)
        return await BulkWrite(self.writer, prepared).insert()

    async def rewrite(
        self,
        kind: Kind,
        user_id: str | None,
        id: str,
        if_stamp: int,
        *,
        payload: dict[str, Any],
        vector: bytes | None,
    ) -> bool:
        content = {
            encoding.PAYLOAD[kind]: updates.dump_payload(user_id, id, payload, vector),
            "vector": vector,
            "stamp": Int64(new_stamp()),
        }
        query = {**encoding.ours_by_key(kind, user_id, id), "stamp": if_stamp, **ALIVE}
        # Not updateOne: some servers make the collection by it.
        found = await self.database.call(
            kind, lambda c: c.find_one_and_update(query, {"$set": content}, {"_id": True})
        )
        return bool(await self._checked(kind, found is not None))

    # --- reading

    async def get(self, kind: Kind, user_id: str | None, id: str) -> Record | Corrupt | None:
        found = await self._find(kind, user_id, id, None)
        if found is None:
            return None
        self._follow(kind, (found,))
        return encoding.decode(kind, found)

    async def has(self, kind: Kind, user_id: str | None, id: str) -> bool:
        fields = {"_id": False, encoding.MARK[kind]: True, "expires_at": True}
        return await self._find(kind, user_id, id, fields) is not None

    async def _find(
        self, kind: Kind, user_id: str | None, id: str, fields: dict[str, bool] | None
    ) -> Document | None:
        query = encoding.by_key(kind, user_id, id)
        found = await self.database.find(kind, query, fields, limit=-1)
        if found and found[0].get("expires_at") is not None:  # Only the server knows the time.
            found = await self.database.find(kind, {**query, **ALIVE}, fields, limit=-1)
        if found and encoding.is_ours(kind, found[0]):
            document: Document = found[0]
            return document
        await self.schema.check_empty(kind)
        return None

    async def get_many(self, kind: Kind, keys: Sequence[Key]) -> list[Record | Corrupt | None]:
        found = await lookups.find_living_keys(self.database, kind, keys)
        self._follow(kind, found.values())
        by_key = {record.key: record for record in await self._decoded(kind, found.values())}
        return [by_key.get(key) for key in keys]

    async def find(self, kind: Kind, ids: Sequence[str]) -> list[Record | Corrupt]:
        found = await lookups.find_ids(self.database, kind, ids)
        self._follow(kind, found)
        return await self._decoded(kind, found)

    async def page(
        self,
        kind: Kind,
        scope: Scope,
        *,
        newest_first: bool,
        after: Any,
        limit: int | None,
    ) -> list[Record | Corrupt]:
        query = {**encoding.of_scope(scope), **ALIVE}
        if after is not None:
            query["_id"] = {"$lt" if newest_first else "$gt": encoding.position_from(after)}
        # 0 is no limit; all come in one answer where that is possible.
        limit = min(limit or 0, _MAX_LIMIT)
        found = await self.database.find_ours(
            kind,
            query,
            sort=encoding.order_of(scope, newest_first=newest_first),
            limit=limit,
            batch_size=limit,
            allow_disk_use=True if scope.reach is Reach.PREFIX else None,
        )
        self._follow(kind, found[:1] + found[-1:])
        return await self._decoded(kind, found)

    async def _decoded(self, kind: Kind, found: Iterable[Document]) -> list[Record | Corrupt]:
        records = [encoding.decode(kind, document) for document in found]
        await self._checked(kind, len(records))
        return records

    def _follow(self, kind: Kind, found: Iterable[Document]) -> None:
        """Make rows that this process writes from now on come behind these, which it read (R3)."""
        positions = self.state.positions[kind]
        for document in found:
            positions.follow(document["_id"])

    async def count(self, kind: Kind, scope: Scope) -> int:
        query = {**encoding.of_scope(scope), **encoding.mark(kind), **ALIVE}
        count = await self.database.call(kind, lambda c: c.count_documents(query))
        return await self._checked(kind, count)

    async def users(
        self, kind: Kind, *, prefix: str, after: str | None, limit: int | None
    ) -> list[str]:
        found = await lookups.find_users(self.database, kind, prefix, after, limit)
        await self._checked(kind, len(found))
        return [user for text in found if (user := decode_user(text)) is not None]

    async def mark(self, kind: Kind, user_id: str | None) -> str | None:
        mine = {**encoding.of_scope(Scope.of_user(user_id)), **encoding.mark(kind), **ALIVE}
        sums = {"_id": None, "rows": {"$sum": 1}, "stamps": {"$sum": "$stamp"}}
        pipeline = [{"$match": mine}, {"$group": sums}]
        found = await self.database.aggregate(kind, pipeline)
        rows, stamps = (found[0]["rows"], found[0]["stamps"]) if found else (0, 0)
        await self._checked(kind, rows)
        # Where somebody made a stamp no number, no sum tells of a change.
        return f"{rows}:{int(stamps)}" if isfinite(stamps) else None

    async def generation(self, kind: Kind) -> str:
        return await self.schema.generation(kind)

    async def _checked(self, kind: Kind, count: int) -> int:
        """Return a count, after a check of why it is 0, if it is."""
        if not count:
            await self.schema.check_empty(kind)
        return int(count)

    # --- deleting

    async def delete(
        self, kind: Kind, user_id: str | None, id: str, if_version: int | None
    ) -> bool:
        query = encoding.ours_by_key(kind, user_id, id)
        exact = query if if_version is None else {**query, "version": if_version}
        # Most rows have no end, and the server finds them faster than by an expression.
        for condition in ({"expires_at": None}, ALIVE):
            delete = methodcaller("delete_one", {**exact, **condition})
            result = await self.database.call(kind, delete)
            if result.deleted_count:
                return True
        await remove_ended(self.database, kind, [Key(user_id, id)])
        await self.schema.check_empty(kind)
        if if_version is not None:
            found = await self.database.call(kind, lambda c: c.find_one(query), primary=True)
            version = 0 if found is None else int(found.get("version", 0))
            if version != if_version:
                raise ConflictError(id, if_version, version)
        return False

    async def delete_many(self, kind: Kind, keys: Sequence[Key]) -> int:
        return await self._checked(kind, await delete_keys(self.database, kind, keys))

    async def delete_all(self, kind: Kind, scope: Scope) -> int:
        await expiry.sweep_scope(self.database, kind, scope)  # Not counted.
        return await self._checked(kind, await delete_scope(self.database, kind, scope))

    # --- the end of rows

    async def touch(
        self, kind: Kind, user_id: str | None, ids: Sequence[str], ttl: timedelta | None
    ) -> int:
        return await self._checked(kind, await expiry.touch(self.database, kind, user_id, ids, ttl))

    async def sweep(self, kind: Kind, limit: int) -> int:
        return await expiry.sweep(self.database, kind, limit, {})

    async def ended(self, kind: Kind) -> Ended:
        return await expiry.ended(self.database, kind)

    # --- the server, and what older software left

    async def server_info(self) -> dict[str, str]:
        return await server_info.ask(self.database)

    def durability_warnings(self, info: Mapping[str, str]) -> list[str]:
        return server_info.warnings(info)

    def legacy_records(self) -> AsyncIterator[list[Record | Corrupt]]:
        from buddy_memory_mongo.upgrade import legacy_records  # Few stores have any.

        return legacy_records(self.database, self.schema)

    async def upgrade(self) -> None:
        from buddy_memory_mongo.upgrade import upgrade

        await upgrade(self.database, self.schema)
