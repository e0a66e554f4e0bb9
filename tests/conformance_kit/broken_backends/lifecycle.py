"""R9, R10, R12, R21: setup, lifecycle, async, bursts."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from buddy.memory.errors import UnavailableError
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.record import Kind, Record, Write
from buddy.memory.testing import BackendUnderTest
from buddy.memory.v2.db.schema import MemoryRow
from buddy.memory.v2.db.store_backed import AsyncStoreBackedMemoryDb, StoreBackedMemoryDb
from buddy.memory.v2.db.threaded import ThreadedMemoryDb
from tests.conformance_kit.broken_backends.declare import (
    BROKEN,
    asynchronous,
    on_db,
    on_store,
    pause,
    unreachable,
)


@on_store("R9-create-is-idempotent")
class CreatesAfresh(InMemoryStore):
    async def create(self) -> None:
        self._records = {kind: {} for kind in Kind}


@on_store("R9-create-is-idempotent")
class SortsTheRowsWhenItCreates(InMemoryStore):
    async def create(self) -> None:
        await super().create()
        records = self._of(Kind.MEMORY)
        kept = sorted(records.items())
        records.clear()
        records.update(kept)


@on_store("R9-create-is-safe-from-many-at-once")
class FailsWhereOthersCreate(InMemoryStore):
    async def create(self) -> None:
        if self._records is None:
            pause()
            if self._records is not None:
                raise RuntimeError("exists already")
            await super().create()


@on_store("R9-upgrade-of-a-current-store-changes-nothing")
class UpgradesByMaking(InMemoryStore):
    async def upgrade(self) -> None:
        await self.create()


def _cut_at_quotes(_: Path) -> BackendUnderTest:
    stores: dict[str, InMemoryStore] = {}

    def named(name: str) -> StoreBackedMemoryDb:
        name = name.replace("'", '"').partition('"')[0]
        return StoreBackedMemoryDb(stores.setdefault(name, InMemoryStore()))

    named("quo").upsert_memory(MemoryRow({}, "theirs"))
    return BackendUnderTest(open=lambda: named("notes"), named=named, waits=False)


BROKEN["CutsNamesAtQuotes", "R9-any-legal-name-names-a-store"] = _cut_at_quotes


class ConnectsInItsConstructor(StoreBackedMemoryDb):
    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self.ping()


unreachable("R10-a-constructor-does-no-io", ConnectsInItsConstructor)


@on_db("R10-close-is-idempotent-and-final")
class WorksAfterClose(StoreBackedMemoryDb):
    def close(self) -> None:
        """Stays open."""


@on_db("R10-close-is-idempotent-and-final")
class SwallowsWhatTheBlockRaises(StoreBackedMemoryDb):
    def __exit__(self, *error: Any) -> Any:
        super().__exit__(*error)
        return True


@on_db("R10-a-deep-copy-shares-the-store")
class CopiesItsStore(StoreBackedMemoryDb):
    def __deepcopy__(self, memo: Any) -> Any:
        return StoreBackedMemoryDb(InMemoryStore())


@on_db("R10-a-pickle-carries-settings-or-refuses")
class PicklesNoRows(StoreBackedMemoryDb):
    def __reduce__(self) -> Any:
        return _open_afresh, ()


def _open_afresh() -> StoreBackedMemoryDb:
    return StoreBackedMemoryDb(InMemoryStore())


@on_store("R10-one-object-serves-many-threads")
class MixesThreadsUp(InMemoryStore):
    """Keeps the write of a call where another thread's call finds it."""

    async def put(self, write: Write) -> Record:
        self.write = write
        pause()
        return await super().put(self.write)


# --- R12


class BlocksTheLoop(ThreadedMemoryDb):
    async def upsert_memories(self, memories: Any) -> Any:
        return self.sync_db.upsert_memories(memories)


class BlocksTheLoopWhenReading(ThreadedMemoryDb):
    async def read_memory(self, *args: Any, **options: Any) -> Any:
        return self.sync_db.read_memory(*args, **options)


class BlocksTheLoopWhenItDeletes(ThreadedMemoryDb):
    async def clear(self) -> bool:
        return self.sync_db.clear()


class BlocksTheLoopForUsers(ThreadedMemoryDb):
    async def list_users(self, **options: Any) -> Any:
        return self.sync_db.list_users(**options)


class WorksInOneLoop(ThreadedMemoryDb):
    loop: Any = None

    async def upsert_memory(self, memory: Any, **options: Any) -> Any:
        self.loop = self.loop or asyncio.get_running_loop()
        if self.loop is not asyncio.get_running_loop():
            raise RuntimeError("bound to a different event loop")
        return self.sync_db.upsert_memory(memory)


class WaitsWithOneLock(ThreadedMemoryDb):
    """A lock of asyncio belongs to the loop in which somebody first waits for it."""

    def __init__(self, db: Any) -> None:
        super().__init__(db)
        self.lock = asyncio.Lock()

    async def upsert_memory(self, memory: Any, **options: Any) -> Any:
        async with self.lock:
            await asyncio.sleep(0)
            return self.sync_db.upsert_memory(memory, **options)


class MixesTasksUp(ThreadedMemoryDb):
    async def upsert_memory(self, memory: Any, **options: Any) -> Any:
        self.memory: MemoryRow = memory
        await asyncio.sleep(0)
        return self.sync_db.upsert_memory(self.memory)


for broken in (
    BlocksTheLoop,
    BlocksTheLoopWhenReading,
    BlocksTheLoopWhenItDeletes,
    BlocksTheLoopForUsers,
):
    asynchronous("R12-the-loop-goes-on-during-a-call", broken)
asynchronous("R12-one-object-works-in-several-loops", WorksInOneLoop)
asynchronous("R12-one-object-works-in-several-loops", WaitsWithOneLock)
asynchronous("R12-many-tasks-share-one-object", MixesTasksUp)


# --- R21


class HasAHundredConnections(InMemoryStore):
    """Refuses a call when all of its connections are busy."""

    busy = 0

    async def put(self, write: Write) -> Record:
        with self._lock:
            self.busy += 1
        try:
            if self.busy > 100:
                raise UnavailableError("broken", "too many connections")
            await self.wait()
            return await super().put(write)
        finally:
            with self._lock:
                self.busy -= 1

    async def wait(self) -> None:
        await asyncio.sleep(0.01)


@on_store("R21-a-burst-of-threads-is-served")
class HasAHundredConnectionsForThreads(HasAHundredConnections):
    async def wait(self) -> None:
        time.sleep(0.05)  # noqa: ASYNC251  (a driver that blocks)


def _of_tasks(_: Path) -> BackendUnderTest:
    store = HasAHundredConnections()
    return BackendUnderTest(open=lambda: AsyncStoreBackedMemoryDb(store), waits=False)


BROKEN["HasAHundredConnections", "R21-a-burst-of-tasks-is-served"] = _of_tasks
