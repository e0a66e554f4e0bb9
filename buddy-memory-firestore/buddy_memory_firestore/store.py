"""A pair of Firestore collections as a Store.

Memories are kept in the collection, summaries in ``{collection}_summaries``, one document each.
Every write is one commit that the server applies only to the state it was made for: a new row if
there is none, an update if nothing else wrote since.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from buddy.memory.storage import clock
from buddy.memory.storage.record import Corrupt, Key, Kind, Record, Scope, Write
from buddy.memory.storage.store import Ended, Store
from buddy_memory_firestore import (
    bulk,
    deletes,
    expiry,
    legacy,
    names,
    pages,
    reads,
    upgrade,
    writes,
)
from buddy_memory_firestore.calls import NO_FIELDS, Calls
from buddy_memory_firestore.client import Connection
from buddy_memory_firestore.encoding import has_ended
from buddy_memory_firestore.rows import Rows
from buddy_memory_firestore.schema import Schema, State
from buddy_memory_firestore.server_info import server_info


class FirestoreStore(Store):
    """Rows in ``collection`` of the database behind ``connection``."""

    sums_stamps = True

    position_type = str

    def __init__(self, connection: Connection, collection: str) -> None:
        self.connection = connection
        self.calls = Calls(connection)
        self.schema = Schema(self.calls, collection)
        self.rows = Rows(self.calls, self.schema.collections)

    # --- the place

    async def create(self) -> None:
        self.schema.forget()
        await self.schema.create()

    async def exists(self) -> bool:
        return await self.schema.exists()

    async def drop(self) -> None:
        self.schema.forget()
        await self.schema.check()
        for kind in Kind:
            await deletes.delete_documents(self.rows, kind)
        await self.schema.unmark()

    async def ping(self) -> None:
        await self.calls.get([self.schema.marker(Kind.MEMORY)], NO_FIELDS)

    async def server_info(self) -> dict[str, str]:
        await self.ping()
        return await server_info(self.connection, self.schema.collections[Kind.MEMORY])

    async def close(self) -> None:
        await self.connection.close()

    # --- one row

    async def put(self, write: Write) -> Record:
        await self.schema.create()
        return await writes.put(self.rows, write)

    async def get(self, kind: Kind, user_id: str | None, id: str) -> Record | Corrupt | None:
        (found,) = await self.get_many(kind, [Key(user_id, id)])
        return found

    async def has(self, kind: Kind, user_id: str | None, id: str) -> bool:
        await self.schema.check()
        found = await self.calls.get([self.rows.path(kind, Key(user_id, id))], ["expires_at"])
        return any(not has_ended(document, clock.utc_now()) for document in found.values())

    async def delete(
        self, kind: Kind, user_id: str | None, id: str, if_version: int | None
    ) -> bool:
        await self.schema.check()
        return await deletes.delete(self.rows, kind, Key(user_id, id), if_version)

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
        await self.schema.check()
        return await writes.rewrite(
            self.rows, kind, Key(user_id, id), if_stamp, payload=payload, vector=vector
        )

    # --- many rows

    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        await self.schema.create()
        return await bulk.put(self.rows, writes)

    async def restore(self, writes: Sequence[Write]) -> list[Key]:
        await self.schema.create()
        return await bulk.restore(self.rows, writes)

    async def get_many(self, kind: Kind, keys: Sequence[Key]) -> list[Record | Corrupt | None]:
        await self.schema.check()
        return await reads.get_many(self.rows, kind, keys)

    async def find(self, kind: Kind, ids: Sequence[str]) -> list[Record | Corrupt]:
        await self.schema.check()
        return await reads.find(self.rows, kind, ids)

    async def delete_many(self, kind: Kind, keys: Sequence[Key]) -> int:
        await self.schema.check()
        return await deletes.delete_many(self.rows, kind, keys)

    # --- the rows of a scope

    async def page(
        self,
        kind: Kind,
        scope: Scope,
        *,
        newest_first: bool,
        after: Any,
        limit: int | None,
    ) -> list[Record | Corrupt]:
        await self.schema.check()
        return await pages.page(
            self.rows, kind, scope, newest_first=newest_first, after=after, limit=limit
        )

    async def count(self, kind: Kind, scope: Scope) -> int:
        await self.schema.check()
        every, ended = await self.calls.gather(
            [
                partial(self._count, kind, scope),
                partial(expiry.count_ended, self.rows, kind, scope),
            ]
        )
        return max(0, every - ended)

    async def _count(self, kind: Kind, scope: Scope) -> int:
        return (await self.calls.count(self.rows.range(kind, scope))).documents

    # --- the end of rows

    async def touch(
        self, kind: Kind, user_id: str | None, ids: Sequence[str], ttl: timedelta | None
    ) -> int:
        await self.schema.check()
        return await expiry.touch(self.rows, kind, user_id, ids, ttl)

    async def sweep(self, kind: Kind, limit: int) -> int:
        await self.schema.check()
        return await expiry.sweep(self.rows, kind, limit)

    async def ended(self, kind: Kind) -> Ended:
        await self.schema.check()
        return await expiry.ended(self.rows, kind)

    async def delete_all(self, kind: Kind, scope: Scope) -> int:
        await self.schema.check()
        return await deletes.delete_all(self.rows, kind, scope)

    async def users(
        self, kind: Kind, *, prefix: str, after: str | None, limit: int | None
    ) -> list[str]:
        await self.schema.check()
        return await reads.list_users(self.rows, kind, prefix=prefix, after=after, limit=limit)

    async def mark(self, kind: Kind, user_id: str | None) -> str:
        await self.schema.check()
        path = names.stamp_path(user_id)
        count, total, _ = await self.calls.sum(self.schema.collections[kind], path)
        ended = await expiry.ended_stamps(self.rows, kind, user_id) if count else []
        return f"{count - len(ended)}:{int(total) - sum(ended)}"

    async def generation(self, kind: Kind) -> str:
        await self.schema.check()
        return await self.schema.generation(kind)

    # --- older software

    async def legacy_records(self) -> AsyncIterator[list[Record | Corrupt]]:
        _, state = await self.schema.state(self.calls)
        if state is State.LEGACY:
            async for page in legacy.pages(self.calls, self.schema.collections[Kind.MEMORY]):
                yield page

    async def upgrade(self) -> None:
        await upgrade.run(self.rows, self.schema)
