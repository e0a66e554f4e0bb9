"""R18: change marks and stamps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.record import EVERYBODY, Key, Kind, Record, Scope, Write
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
from tests.conformance_kit.broken_backends.declare import on_db, on_store, rewritten


@on_store("R18-a-mark-differs-when-rows-differ-memory")
class CountsRowsAndWrites(InMemoryStore):
    """Repeats a mark when the newest row is deleted and another one is inserted."""

    async def mark(self, kind: Kind, user_id: Any) -> str:
        rows = list(self._within(kind, Scope.of_user(user_id)))
        return f"{len(rows)}:{sum(row.version for row in rows)}"


@on_store("R18-a-mark-differs-when-rows-differ-memory")
class MarksTheLastWrite(InMemoryStore):
    """Does not see deletions."""

    async def mark(self, kind: Kind, user_id: Any) -> str:
        rows = self._within(kind, Scope.of_user(user_id))
        return str(max((row.updated_at for row in rows), default=None))


@on_store("R18-a-mark-is-of-one-user-memory")
class MarksTheStore(InMemoryStore):
    async def mark(self, kind: Kind, user_id: Any) -> str:
        return str(sum(row.stamp or 0 for row in self._within(kind, EVERYBODY)))


@on_store("R18-a-mark-is-of-one-user-memory")
class MarksLongUsersAlike(InMemoryStore):
    async def mark(self, kind: Kind, user_id: Any) -> str | None:
        within = self._within(kind, EVERYBODY)
        return str(
            sum(row.stamp or 0 for row in within if f"{row.user_id}"[:255] == f"{user_id}"[:255])
        )


@on_store("R18-a-mark-is-equal-when-rows-are-equal-memory")
class DrawsAMarkForEachCall(InMemoryStore):
    numbers = count()

    async def mark(self, kind: Kind, user_id: Any) -> str:
        return str(next(self.numbers))


@on_db("R18-a-change-is-seen-by-the-next-mark-elsewhere-memory")
class KeepsItsMark(StoreBackedMemoryDb):
    """Asks again after its own writes only."""

    kept: Any = None

    def change_mark(self, user_id: Any) -> Any:
        self.kept = self.kept or super().change_mark(user_id)
        return self.kept

    def upsert_memory(self, memory: Any, **options: Any) -> Any:
        self.kept = None
        return super().upsert_memory(memory, **options)


@on_store("R18-a-mark-covers-memories-and-summaries")
class MarksMemoriesOnly(InMemoryStore):
    async def mark(self, kind: Kind, user_id: Any) -> Any:
        return await super().mark(Kind.MEMORY, user_id)


@on_store("R18-a-restored-row-moves-the-mark-memory")
class RestoresTheState(InMemoryStore):
    """A restored row has the stamp that a row with this version always has."""

    async def restore(self, writes: Sequence[Write]) -> list[Key]:
        keys = await super().restore(writes)
        records = self._of(writes[0].record.kind)
        for key in keys:
            records[key] = records[key]._replace(stamp=hash((key.id, records[key].version)))
        return keys


@on_store("R18-a-rewrite-moves-the-stamp-and-nothing-else-memory")
class CountsRewritesAsWrites(InMemoryStore):
    async def rewrite(self, kind: Kind, user_id: Any, id: str, if_stamp: int, **new: Any) -> bool:
        done = await super().rewrite(kind, user_id, id, if_stamp, **new)
        if done:
            record = self._of(kind)[Key(user_id, id)]
            self._of(kind)[record.key] = record._replace(version=record.version + 1)
        return done


@on_store("R18-a-rewrite-moves-the-stamp-and-nothing-else-memory")
class RewritesAnyState(InMemoryStore):
    async def rewrite(self, kind: Kind, user_id: Any, id: str, if_stamp: int, **new: Any) -> bool:
        record = self._of(kind).get(Key(user_id, id))
        stamp = if_stamp if record is None or record.stamp is None else record.stamp
        return await super().rewrite(kind, user_id, id, stamp, **new)


@on_store("R18-a-rewrite-of-nothing-makes-no-store")
class MakesTheTableByRewriting(InMemoryStore):
    async def rewrite(self, kind: Kind, user_id: Any, id: str, if_stamp: int, **new: Any) -> bool:
        await self.create()
        return await super().rewrite(kind, user_id, id, if_stamp, **new)


@on_store("R18-an-end-and-a-vector-are-kept-with-their-row-memory")
class ForgetsTheEnd(InMemoryStore):
    async def put(self, write: Write) -> Record:
        return await super().put(rewritten(write, expires_at=None))


@on_store("R18-an-end-and-a-vector-are-kept-with-their-row-memory")
class KeepsTheOldVector(InMemoryStore):
    async def put(self, write: Write) -> Record:
        found = self._of(write.record.kind).get(write.record.key)
        vector = write.record.vector or (found and found.vector)
        return await super().put(rewritten(write, vector=vector))


@on_store("R18-stamps-are-in-the-order-of-writing-memory")
class TellsStampsById(InMemoryStore):
    async def stamps(self, kind: Kind, user_id: str | None) -> list[tuple[str, int | None]]:
        return sorted(await super().stamps(kind, user_id))
