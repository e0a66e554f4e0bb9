"""Broken backends that look right at first sight: each breaks one rule at an edge of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from typing import Any

from buddy.memory.errors import ConflictError, MemoryDbError, OwnerMismatchError
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.record import Corrupt, Kind, Record, Write
from buddy.memory.testing import Subject
from buddy.memory.v2.db.stored import StoredMemoryDb
from buddy.memory.v2.db.threaded import ThreadedMemoryDb
from tests.core.mutants import (
    MUTANTS,
    HidesDamage,
    KeepsExpiredRowsInTheCount,
    asynchronous,
    damaged,
    on_db,
    on_store,
    rewritten,
    unreachable,
)

__all__ = ["MUTANTS"]


def _pause() -> None:
    time.sleep(0.002)  # What a second round trip takes.


# --- R1, R2


@on_store("R1-of-many-owners-at-once-one-wins-memory")
class ChecksTheOwnerThenWrites(InMemoryStore):
    """The write itself is atomic; whose row it is was asked before."""

    async def put(self, write: Write) -> Record:
        found = self._of(write.record.kind).get(write.record.id)
        if found is not None and found.user_id != write.record.user_id:
            raise OwnerMismatchError(write.record.id)
        _pause()
        with self._lock:
            found = self._of(write.record.kind).get(write.record.id)
            owner = write.record.user_id if found is None else found.user_id
            return await super().put(rewritten(write, user_id=owner))


@on_store("R2-times-of-the-caller-are-kept-on-the-first-write-memory")
class TakesTimesInBulkUpdates(InMemoryStore):
    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        records = await super().put_many(writes)
        for n, write in enumerate(writes):
            if write.record.created_at != write.now:  # The caller gave one.
                records[n] = records[n]._replace(created_at=write.record.created_at)
                self._of(records[n].kind)[records[n].id] = records[n]
        return records


@on_store("R2-times-far-from-now-are-kept-memory")
class KeepsTimesAsFloats(InMemoryStore):
    async def put(self, write: Write) -> Record:
        record = write.record
        times = (record.created_at.timestamp(), record.updated_at.timestamp())
        created, updated = (datetime.fromtimestamp(seconds, timezone.utc) for seconds in times)
        return await super().put(rewritten(write, created_at=created, updated_at=updated))


# --- R3, R4


@on_store("R3-pages-do-not-move-while-rows-are-deleted-memory")
class PagesByOffset(InMemoryStore):
    """What comes next is found by how many rows were shown, and not by the last one shown."""

    shown = 0

    async def page(
        self, kind: Kind, user_id: Any, *, newest_first: bool, after: Any, limit: Any
    ) -> Any:
        self.shown = 0 if after is None else self.shown
        rows = await super().page(kind, user_id, newest_first=newest_first, after=None, limit=None)
        rows = rows[self.shown :][:limit]
        self.shown += len(rows)
        return rows


@on_db("R4-limit-is-the-first-n-memory")
class LimitsBeforeItFilters(StoredMemoryDb):
    def read_memories(self, user_id: Any = None, limit: Any = None, sort: Any = None) -> Any:
        rows = super().read_memories(None, limit, sort)
        return [row for row in rows if user_id in (None, row.user_id)]


@on_store("R6-bulk-writes-take-any-size-memory")
class ListsAThousandAtMost(InMemoryStore):
    async def page(self, kind: Kind, user_id: Any, **options: Any) -> Any:
        options["limit"] = min(options["limit"] or 1000, 1000)
        return await super().page(kind, user_id, **options)


# --- R6


@on_store("R6-a-failed-bulk-write-says-what-is-stored-memory")
class ForgetsTheChunksBefore(InMemoryStore):
    """Writes in chunks, each of which is stored whole or not at all."""

    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        records: list[Record] = []
        for start in range(0, len(writes), 500):
            chunk = writes[start : start + 500]
            found = [self._of(w.record.kind).get(w.record.id) for w in chunk]
            for write, row in zip(chunk, found, strict=True):
                if row is not None and row.user_id != write.record.user_id:
                    raise OwnerMismatchError(row.id)
            records += await super().put_many(chunk)
        return records


@on_store("R6-of-many-deletions-at-once-one-is-true-memory")
class LooksThenDeletes(InMemoryStore):
    async def delete(self, kind: Kind, id: str, user_id: Any, if_version: Any) -> bool:
        found = await self.has(kind, id, user_id)
        _pause()
        await super().delete(kind, id, user_id, if_version)
        return found


# --- R8


@on_db("R8-rows-are-copies-memory")
class ReturnsTheRowItWasGiven(StoredMemoryDb):
    def upsert_memory(self, memory: Any, **options: Any) -> Any:
        stored = super().upsert_memory(memory, **options)
        memory.__dict__.update({k: v for k, v in vars(stored).items() if k != "memory"})
        return memory


@on_store("R8-a-large-row-is-stored-whole-or-refused-memory")
class CutsAtAMegabyte(InMemoryStore):
    async def put(self, write: Write) -> Record:
        payload = {
            key: value[: 2**20] if isinstance(value, str) else value
            for key, value in write.record.payload.items()
        }
        return await super().put(rewritten(write, payload=payload))


# --- R10, R11, R12


@on_db("R10-close-is-idempotent-and-final")
class SwallowsWhatTheBlockRaises(StoredMemoryDb):
    def __exit__(self, *error: Any) -> Any:
        super().__exit__(*error)
        return True


class LogsItsPassword(StoredMemoryDb):
    def ping(self) -> None:
        logging.getLogger("driver").debug("connecting to acme://me:hunter2@nowhere")
        super().ping()


unreachable("R11-no-password-is-ever-shown", LogsItsPassword)


class BlocksTheLoopWhenReading(ThreadedMemoryDb):
    async def read_memory(self, *args: Any, **options: Any) -> Any:  # type: ignore[override]
        return self.sync_db.read_memory(*args, **options)


class BlocksTheLoopWhenItDeletes(ThreadedMemoryDb):
    async def clear(self) -> bool:
        return self.sync_db.clear()


asynchronous("R12-the-loop-goes-on-during-a-call", BlocksTheLoopWhenReading)
asynchronous("R12-the-loop-goes-on-during-a-call", BlocksTheLoopWhenItDeletes)


# --- R13, R14


@on_store("R13-a-deletion-and-an-update-do-not-both-happen-memory")
class ChecksTheVersionThenDeletes(InMemoryStore):
    async def delete(self, kind: Kind, id: str, user_id: Any, if_version: Any) -> bool:
        found = self._find(kind, id, user_id)
        version = 0 if found is None else found.version
        if if_version not in (None, version):
            raise ConflictError(id, if_version, version)
        _pause()
        return await super().delete(kind, id, user_id, None)


def _bulk_without_expiry() -> Subject:
    store = KeepsExpiredRowsInTheCount()

    class Short(StoredMemoryDb):
        """Forgets the expiry in bulk writes; the rows stay for ever."""

        def upsert_memory(self, memory: Any, **options: Any) -> Any:
            store.short = True
            try:
                return super().upsert_memory(memory, **options)
            finally:
                store.short = False

        upsert_summary: Any = upsert_memory

    return Subject(
        open=lambda: StoredMemoryDb(store),
        expiring=lambda seconds: (Short if seconds == 1 else StoredMemoryDb)(store),
        wait_expired=lambda: None,
        waits=False,
    )


MUTANTS["BulkWritesNeverExpire"] = "R14-bulk-writes-expire-too-memory", _bulk_without_expiry


# --- R15, R16


class DropsByPattern(InMemoryStore):
    """One of the stores of a database, which takes its name for a pattern when it is dropped."""

    def __init__(self, name: str, all_of_them: dict[str, DropsByPattern]) -> None:
        super().__init__()
        self.name, self.all_of_them = name, all_of_them

    async def drop(self) -> None:
        for name, store in self.all_of_them.items():
            if name == self.name or fnmatchcase(name, self.name):
                await InMemoryStore.drop(store)


def _patterns() -> Subject:
    stores: dict[str, DropsByPattern] = {}

    def named(name: str) -> StoredMemoryDb:
        return StoredMemoryDb(stores.setdefault(name, DropsByPattern(name, stores)))

    return Subject(open=lambda: named("notes"), named=named, waits=False)


MUTANTS["DropsByPattern"] = "R15-a-name-is-no-pattern", _patterns


@on_store("R15-delete-user-takes-any-number-of-rows")
class DeletesOneBatchOfAUser(InMemoryStore):
    async def delete_all(self, kind: Kind, user_id: Any) -> int:
        rows = await self.page(kind, user_id, newest_first=False, after=None, limit=500)
        for row in rows:
            await self.delete(kind, row.id, None, None)
        return len(rows)


class KeepsDamagedRows(HidesDamage):
    """Says what it cannot decode, and deletes only what it can."""

    async def page(self, kind: Kind, user_id: Any, **options: Any) -> Any:
        rows = await InMemoryStore.page(self, kind, user_id, **options)
        return [
            Corrupt(row.id, row.user_id, row.position, "torn") if row.id in self.damaged else row
            for row in rows
        ]

    async def get(self, kind: Kind, id: str, user_id: Any) -> Any:
        row: Any = await super().get(kind, id, user_id)
        return Corrupt(id, row.user_id, 0, "torn") if row and id in self.damaged else row

    async def put(self, write: Write) -> Record:
        self.damaged.discard(write.record.id)
        return await super().put(write)

    async def delete_all(self, kind: Kind, user_id: Any) -> int:
        doomed = [
            row.id
            for row in await self.page(kind, user_id, newest_first=True, after=None, limit=None)
            if isinstance(row, Record)
        ]
        return sum([await self.delete(kind, id, None, None) for id in doomed])


class DoesNotCountDamagedRows(KeepsDamagedRows):
    async def count(self, kind: Kind, user_id: Any) -> int:
        rows = await self.page(kind, user_id, newest_first=True, after=None, limit=None)
        return sum(isinstance(row, Record) for row in rows)


damaged("R16-a-damaged-row-can-be-cleaned-up", KeepsDamagedRows)
damaged("R16-a-damaged-row-is-named-and-skipped", DoesNotCountDamagedRows)


class FailsOnDamageInBulk(KeepsDamagedRows):
    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        for write in writes:
            if write.record.id in self.damaged:
                raise MemoryDbError("cannot decode what is there")
        return await super().put_many(writes)


damaged("R16-a-damaged-row-can-be-replaced-or-deleted", FailsOnDamageInBulk)
