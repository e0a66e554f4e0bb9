"""The store for collections that are sharded by the user.

MongoDB keeps a unique index on a sharded collection only when the shard key begins it, so that no
index can keep ids unique beside the shard key ``{user_id: "hashed"}``. A second collection does,
``{collection}_ids``: its ``_id`` is the row's id, which makes it unique on any cluster (shard it by
``{_id: "hashed"}``). A row and its entry there are made and deleted in one transaction; updates,
which are the more, need only the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from buddy.memory.errors import SchemaError
from buddy.memory.storage.record import Kind, Record, Write
from buddy.memory.storage.store import Store
from buddy_memory_mongo import documents
from buddy_memory_mongo.connection import Settle
from buddy_memory_mongo.store import MongoStore

_BATCH = 500
"""Rows that are deleted in one transaction, which the server ends after a minute."""


class ShardedMongoStore(MongoStore):
    """As MongoStore; every write of a row names its user, and so reaches one shard."""

    unique_ids = False

    def _ids(self, client: Any, kind: Kind) -> Any:
        return self.server.collection(client, kind).database[f"{self.server.names[kind]}_ids"]

    async def create(self) -> None:
        await super().create()
        for kind in Kind:
            try:
                await self.server.run(partial(self._make_ids, kind))
            except SchemaError:  # It is there.
                continue

    async def drop(self) -> None:
        await super().drop()
        for kind in Kind:
            await self.server.run(partial(self._drop_ids, kind))

    def _make_ids(self, kind: Kind, client: Any) -> Any:
        ids = self._ids(client, kind)
        return ids.database.create_collection(ids.name)

    def _drop_ids(self, kind: Kind, client: Any) -> Any:
        return self._ids(client, kind).drop()

    async def _upsert(self, write: Write, payload: Any, *, plain: bool, insert: bool = True) -> Any:
        if write.if_version != 0:
            state = await super()._upsert(write, payload, plain=plain, insert=False)
            if state is not None or write.if_version is not None:
                return state
        return await self._insert(write, payload)

    async def _insert(self, write: Write, payload: Any) -> Any:
        """Make the row and the entry of its id; raises Duplicate when the id is taken."""
        kind, id = write.record.kind, write.record.id
        (position,) = self.positions[kind].take(1, write.now)
        document = documents.new_document(write, payload, position)
        entry = {"_id": id, "user_id": write.record.user_id}

        async def both(client: Any, session: Any, settle: Settle) -> None:
            await settle(self._ids(client, kind).insert_one(entry, session=session))
            await settle(self.server.collection(client, kind).insert_one(document, session=session))

        await self.server.transact(both)
        return document

    def _by_id(self, kind: Kind, id: str, user_id: str | None) -> dict[str, Any]:
        query = super()._by_id(kind, id, user_id)
        return query if user_id is None else {**query, "user_id": user_id}

    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        return await Store.put_many(self, writes)

    async def _delete_one(self, kind: Kind, query: dict[str, Any]) -> int:
        return await self._delete(kind, query)

    async def delete_many(self, kind: Kind, ids: Sequence[str], user_id: str | None) -> int:
        deleted = 0
        for start in range(0, len(ids), _BATCH):
            chosen = {documents.ID[kind]: {"$in": list(ids[start : start + _BATCH])}}
            deleted += await self._delete(kind, {**chosen, **documents.of_user(kind, user_id)})
        return await self._number(kind, deleted)

    async def delete_all(self, kind: Kind, user_id: str | None) -> int:
        deleted, query = 0, documents.of_user(kind, user_id)
        while batch := await self._delete(kind, query):
            deleted += batch
        return await self._number(kind, deleted)

    async def _delete(self, kind: Kind, query: dict[str, Any]) -> int:
        """Delete up to _BATCH rows with the entries of their ids; return how many there were."""
        field = documents.ID[kind]

        async def both(client: Any, session: Any, settle: Settle) -> int:
            rows = self.server.collection(client, kind, primary=True)
            cursor = rows.find(query, {field: True}, limit=_BATCH, session=session)
            found = [document[field] for document in await settle(cursor.to_list())]
            if found:
                exact = {**query, field: {"$in": found}}
                await settle(rows.delete_many(exact, session=session))
                ids = {"_id": {"$in": found}}
                await settle(self._ids(client, kind).delete_many(ids, session=session))
            return len(found)

        return int(await self.server.transact(both))
