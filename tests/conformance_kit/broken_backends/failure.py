"""R7, R11, R16: failures, secrets, damaged rows."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from buddy.memory import payload as payloads
from buddy.memory.errors import MemoryDbError
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.record import Kind, Record, Scope, Write
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
from tests.conformance_kit.broken_backends.declare import (
    Damaged,
    damaged,
    on_store,
    rewritten,
    unreachable,
)


class SwallowsErrors(StoreBackedMemoryDb):
    def read_memories(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().read_memories(*args, **kwargs)
        except MemoryDbError:
            logging.getLogger(__name__).debug("swallowed")
            return []


class FailsSilentlyToWrite(StoreBackedMemoryDb):
    def upsert_memory(self, memory: Any, **options: Any) -> Any:
        try:
            return super().upsert_memory(memory, **options)
        except MemoryDbError:
            return memory


class ListsNoUsersOnFailure(StoreBackedMemoryDb):
    def list_users(self, **options: Any) -> list[str]:
        try:
            return super().list_users(**options)
        except MemoryDbError:
            return []


class TouchesNothingOnFailure(StoreBackedMemoryDb):
    def touch_memories(self, ids: Any, **options: Any) -> int:
        try:
            return super().touch_memories(ids, **options)
        except MemoryDbError:
            return 0


class FindsNothingOnFailure(StoreBackedMemoryDb):
    def search_memories(self, query: Any, **options: Any) -> Any:
        try:
            return super().search_memories(query, **options)
        except MemoryDbError:
            return []


class ReadsNoIdsWithoutAsking(StoreBackedMemoryDb):
    def read_memories_by_id(self, ids: Any, *, user_id: Any = None) -> Any:
        return super().read_memories_by_id(ids, user_id=user_id) if ids else []


class ShowsItsPassword(StoreBackedMemoryDb):
    def __repr__(self) -> str:
        return "ShowsItsPassword(password='hunter2')"


class LogsItsPassword(StoreBackedMemoryDb):
    def ping(self) -> None:
        logging.getLogger("driver").debug("connecting to acme://me:hunter2@nowhere")
        super().ping()


for broken in (
    SwallowsErrors,
    FailsSilentlyToWrite,
    ListsNoUsersOnFailure,
    TouchesNothingOnFailure,
    FindsNothingOnFailure,
    ReadsNoIdsWithoutAsking,
):
    unreachable("R7-failure-is-never-emptiness", broken)
unreachable("R11-no-password-is-ever-shown", ShowsItsPassword)
unreachable("R11-no-password-is-ever-shown", LogsItsPassword)


# --- R16


@on_store("R16-stored-text-is-never-executed")
class ExpandsTemplates(InMemoryStore):
    async def put(self, write: Write) -> Record:
        text = payloads.to_json(write.record.payload).replace("{{7*7}}", "49")
        return await super().put(rewritten(write, payload=payloads.from_json(text)))


@damaged("R16-a-damaged-row-is-named-and-skipped")
class HidesDamage(Damaged):
    """Skips what it cannot decode, and does not say so."""

    async def page(self, kind: Kind, scope: Scope, **options: Any) -> Any:
        rows = await super().page(kind, scope, **options)
        return [row for row in rows if isinstance(row, Record)]


@damaged("R4-the-limit-counts-readable-rows")
@damaged("R4-a-page-counts-readable-rows")
class CountsDamageInTheLimit(Damaged):
    """Says what it cannot decode, and hides readable rows behind it."""

    async def page(self, kind: Kind, scope: Scope, **options: Any) -> Any:
        return [] if options["after"] is not None else await super().page(kind, scope, **options)


@damaged("R16-a-damaged-row-is-named-and-skipped")
class DoesNotCountDamagedRows(Damaged):
    async def count(self, kind: Kind, scope: Scope) -> int:
        rows = await self.page(kind, scope, newest_first=True, after=None, limit=None)
        return sum(isinstance(row, Record) for row in rows)


@damaged("R16-a-damaged-row-can-be-cleaned-up")
@damaged("R15-damaged-rows-are-forgotten-too")
class KeepsDamagedRows(Damaged):
    """Deletes only what it can decode."""

    async def delete_all(self, kind: Kind, scope: Scope) -> int:
        rows = await self.page(kind, scope, newest_first=True, after=None, limit=None)
        readable = [row for row in rows if isinstance(row, Record)]
        return sum([await self.delete(kind, *row.key, None) for row in readable])


@damaged("R16-a-damaged-row-can-be-replaced-or-deleted")
class FailsOnDamageInBulk(Damaged):
    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        for write in writes:
            if write.record.id in self.damaged:
                raise MemoryDbError("cannot decode what is there")
        return await super().put_many(writes)


@damaged("R16-a-damaged-row-fails-a-read-by-ids")
class LeavesOutDamagedRowsById(Damaged):
    async def get_many(self, kind: Kind, keys: Any) -> Any:
        rows = await super().get_many(kind, keys)
        return [row if isinstance(row, Record) else None for row in rows]


@damaged("R16-a-damaged-row-can-be-replaced-or-deleted")
class BeginsAgainOverDamage(Damaged):
    """A write over a row that cannot be decoded is a first write."""

    async def put(self, write: Write) -> Record:
        if write.record.id in self.damaged:
            await self.delete(write.record.kind, *write.record.key, None)
        return await super().put(write)
