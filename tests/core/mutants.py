"""Deliberately broken backends, at least one for each rule, and the check that kills each."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from datetime import datetime
from typing import Any

from buddy.memory import payload as payloads
from buddy.memory.errors import ConflictError, MemoryDbError, UnavailableError
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.record import Corrupt, Kind, Record, Write, merge
from buddy.memory.testing import Subject
from buddy.memory.v2.db.schema import MemoryRow
from buddy.memory.v2.db.stored import StoredMemoryDb
from buddy.memory.v2.db.threaded import ThreadedMemoryDb

Make = Callable[[], Subject]
MUTANTS: dict[str, tuple[str, Make]] = {}
"""By name: the id of the check that has to fail, and the Subject that it has to fail on."""


def on_store(kills: str, **subject: Any) -> Callable[[type[InMemoryStore]], type[InMemoryStore]]:
    """Make a mutant of a Store; every object that the Subject opens shares one instance."""

    def declare(cls: type[InMemoryStore]) -> type[InMemoryStore]:
        def make() -> Subject:
            store = cls()
            return Subject(open=lambda: StoredMemoryDb(store), waits=False, **subject)

        MUTANTS[cls.__name__] = kills, make
        return cls

    return declare


def on_db(kills: str, **subject: Any) -> Callable[[type[StoredMemoryDb]], type[StoredMemoryDb]]:
    """Make a mutant of the class above the Store."""

    def declare(cls: type[StoredMemoryDb]) -> type[StoredMemoryDb]:
        def make() -> Subject:
            store = InMemoryStore()
            return Subject(open=lambda: cls(store), waits=False, **subject)

        MUTANTS[cls.__name__] = kills, make
        return cls

    return declare


def rewritten(write: Write, **fields: Any) -> Write:
    return write._replace(record=write.record._replace(**fields))


# --- R1


@on_store("R1-any-string-is-an-id-memory")
class FoldsCaseOfIds(InMemoryStore):
    async def put(self, write: Write) -> Record:
        return await super().put(rewritten(write, id=write.record.id.lower()))


@on_store("R1-any-string-is-an-id-summary")
class StripsIds(InMemoryStore):
    async def put(self, write: Write) -> Record:
        return await super().put(rewritten(write, id=write.record.id.strip() or "x"))


@on_store("R1-any-string-is-a-user-memory")
class EmptyUserIsEverybody(InMemoryStore):
    async def page(self, kind: Kind, user_id: str | None, **options: Any) -> Any:
        return await super().page(kind, user_id or None, **options)


@on_store("R1-the-owner-is-fixed-by-the-first-write-memory")
class LetsOthersOverwrite(InMemoryStore):
    async def put(self, write: Write) -> Record:
        found = self._of(write.record.kind).get(write.record.id)
        if found is not None:
            write = rewritten(write, user_id=found.user_id)
        return await super().put(write)


@on_store("R1-another-users-row-does-not-exist-memory")
class IgnoresTheUserOfDeletions(InMemoryStore):
    async def delete(self, kind: Kind, id: str, user_id: Any, if_version: Any) -> bool:
        return await super().delete(kind, id, None, if_version)


@on_store("R1-memories-and-summaries-have-ids-of-their-own")
class MixesKinds(InMemoryStore):
    def _of(self, kind: Kind) -> dict[str, Record]:
        return super()._of(Kind.MEMORY)


# --- R2


@on_store("R2-created-at-survives-and-updated-at-moves-memory")
class ResetsCreatedAt(InMemoryStore):
    async def put(self, write: Write) -> Record:
        record = await super().put(write)
        record = record._replace(created_at=record.updated_at)
        self._of(record.kind)[record.id] = record
        return record


@on_store("R2-times-are-aware-utc-to-the-microsecond-memory")
class CutsToMilliseconds(InMemoryStore):
    async def put(self, write: Write) -> Record:
        def cut(time: datetime) -> datetime:
            return time.replace(microsecond=time.microsecond // 1000 * 1000)

        record = write.record
        write = rewritten(
            write, created_at=cut(record.created_at), updated_at=cut(record.updated_at)
        )
        return await super().put(write)


@on_store("R2-times-move-within-a-tick-and-when-the-clock-steps-back-memory")
class TrustsTheClock(InMemoryStore):
    async def put(self, write: Write) -> Record:
        record = await super().put(write)
        if record.version > 1:
            record = record._replace(updated_at=write.now)
            self._of(record.kind)[record.id] = record
        return record


@on_store("R2-times-of-the-caller-are-kept-on-the-first-write-memory")
class IgnoresGivenTimes(InMemoryStore):
    async def put(self, write: Write) -> Record:
        return await super().put(rewritten(write, created_at=write.now, updated_at=write.now))


# --- R3, R4, R5


@on_store("R3-order-is-not-that-of-given-times-memory")
class OrdersByCreatedAt(InMemoryStore):
    async def page(
        self, kind: Kind, user_id: Any, *, newest_first: bool, after: Any, limit: Any
    ) -> Any:
        rows = await super().page(kind, user_id, newest_first=False, after=None, limit=None)
        rows.sort(key=lambda row: row.created_at, reverse=newest_first)  # type: ignore[union-attr]
        return [row for row in rows if after is None or row.position != after][:limit]


@on_store("R3-order-of-bulk-writes-is-the-order-given-memory")
class ReversesBulk(InMemoryStore):
    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        return (await super().put_many(writes[::-1]))[::-1]


@on_store("R3-order-holds-within-one-tick-and-when-the-clock-steps-back-memory")
class DropsTheTieBreak(InMemoryStore):
    async def page(
        self, kind: Kind, user_id: Any, *, newest_first: bool, after: Any, limit: Any
    ) -> Any:
        rows = await super().page(kind, user_id, newest_first=False, after=None, limit=None)
        rows.sort(key=lambda row: (row.updated_at, row.id), reverse=newest_first)  # type: ignore[union-attr]
        return rows[:limit]


@on_store("R3-pages-keep-the-order-memory")
class RepeatsTheLastRowOfAPage(InMemoryStore):
    async def page(self, kind: Kind, user_id: Any, **options: Any) -> Any:
        if options["after"] is not None:
            options["after"] += 1 if options["newest_first"] else -1
        return await super().page(kind, user_id, **options)


@on_store("R3-a-row-written-anew-is-the-newest-memory")
class RemembersPlaces(InMemoryStore):
    async def page(self, kind: Kind, user_id: Any, **options: Any) -> Any:
        self.__dict__.setdefault("places", {})
        rows = await super().page(kind, user_id, newest_first=False, after=None, limit=None)
        places = self.places
        rows.sort(key=lambda row: places[row.id], reverse=options["newest_first"])
        return rows[: options["limit"]]

    async def put(self, write: Write) -> Record:
        record = await super().put(write)
        self.__dict__.setdefault("places", {}).setdefault(record.id, record.position)
        return record


@on_store("R3-order-of-writers-at-once-is-total-memory")
class LooksUpTheNextPosition(InMemoryStore):
    async def put(self, write: Write) -> Record:
        await self.create()
        records = self._of(write.record.kind)
        position = max((r.position for r in list(records.values())), default=0) + 1
        time.sleep(0.0001)  # noqa: ASYNC251  (what a second round trip takes)
        with self._lock:
            merged = merge(records.get(write.record.id), write)
            records[merged.id] = merged._replace(position=merged.position or position)
            return deepcopy(records[merged.id])


@on_db("R3-an-unknown-sort-is-an-error-memory")
class TakesAnySort(StoredMemoryDb):
    def read_memories(self, user_id: Any = None, limit: Any = None, sort: Any = None) -> Any:
        return super().read_memories(user_id, limit, "asc" if sort == "asc" else None)


@on_store("R4-limit-is-the-first-n-memory")
class LimitsTheWrongEnd(InMemoryStore):
    async def page(self, kind: Kind, user_id: Any, **options: Any) -> Any:
        limit = options.pop("limit")
        rows = await super().page(kind, user_id, limit=None, **options)
        return rows if limit is None else rows[-limit:]


@on_db("R4-a-wrong-limit-is-an-error-memory")
class TakesNegativeLimits(StoredMemoryDb):
    def read_memories(self, user_id: Any = None, limit: Any = None, sort: Any = None) -> Any:
        limit = None if isinstance(limit, int) and limit < 0 else limit
        return super().read_memories(user_id, limit, sort)


@on_store("R5-a-table-that-was-never-made-reads-as-empty")
class MakesTheTableByReading(InMemoryStore):
    async def count(self, kind: Kind, user_id: Any) -> int:
        await self.create()
        return await super().count(kind, user_id)


@on_store("R5-no-user-means-all-users-memory")
class HidesRowsWithoutOwner(InMemoryStore):
    async def page(self, kind: Kind, user_id: Any, **options: Any) -> Any:
        rows = await super().page(kind, user_id, **options)
        return [row for row in rows if row.user_id is not None]


# --- R6, R7


@on_store("R6-concurrent-upserts-of-one-id-leave-one-row-memory")
class ChecksThenInserts(InMemoryStore):
    async def put(self, write: Write) -> Record:
        await self.create()
        records, id = self._of(write.record.kind), write.record.id
        merged = merge(records.get(id), write)
        time.sleep(0.0001)  # noqa: ASYNC251  (what a second round trip takes)
        records[id] = merged._replace(position=merged.position or next(self._positions))
        return deepcopy(records[id])


@on_store("R6-concurrent-bulk-writes-all-count-memory")
class ReadsFirstAndWritesAllLater(InMemoryStore):
    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        await self.create()
        records = self._of(writes[0].record.kind)
        merged = [merge(records.get(w.record.id), w) for w in writes]
        time.sleep(0.001)  # noqa: ASYNC251  (what a second round trip takes)
        for n, record in enumerate(merged):
            merged[n] = record._replace(position=record.position or next(self._positions))
            records[record.id] = merged[n]
        return deepcopy(merged)


@on_store("R6-a-failed-bulk-write-says-what-is-stored-memory")
class ForgetsWhatIsStored(InMemoryStore):
    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        try:
            return await super().put_many(writes)
        except MemoryDbError as error:
            error.stored_ids = ()
            raise


@on_store("R6-what-is-written-is-seen-by-others-at-once-memory")
class DeletesNothing(InMemoryStore):
    async def delete(self, kind: Kind, id: str, user_id: Any, if_version: Any) -> bool:
        return await self.has(kind, id, user_id)


@on_db("R6-bulk-writes-insert-and-update-memory")
class ReturnsWhatWasGiven(StoredMemoryDb):
    def upsert_memories(self, memories: Any) -> Any:
        memories = list(memories)
        super().upsert_memories(memories)
        return memories


class Down(InMemoryStore):
    """A store whose database does not answer."""

    def _of(self, kind: Kind) -> dict[str, Record]:
        raise UnavailableError("mutant", "down")

    async def create(self) -> None:
        raise UnavailableError("mutant", "down")

    exists = drop = ping = upgrade = create  # type: ignore[assignment]


class SwallowsErrors(StoredMemoryDb):
    def read_memories(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().read_memories(*args, **kwargs)
        except MemoryDbError:
            logging.getLogger(__name__).debug("swallowed")
            return []


class FailsSilentlyToWrite(StoredMemoryDb):
    def upsert_memory(self, memory: Any, **options: Any) -> Any:
        try:
            return super().upsert_memory(memory, **options)
        except MemoryDbError:
            return memory


class ShowsItsPassword(StoredMemoryDb):
    def __repr__(self) -> str:
        return "ShowsItsPassword(password='hunter2')"


def unreachable(kills: str, cls: type[StoredMemoryDb]) -> None:
    def make() -> Subject:
        store = InMemoryStore()
        return Subject(
            open=lambda: StoredMemoryDb(store),
            unreachable=lambda: cls(Down()),
            secret="hunter2",  # noqa: S106
        )

    MUTANTS[cls.__name__] = kills, make


class AsksBeforeItLooks(StoredMemoryDb):
    def upsert_memory(self, memory: Any, **options: Any) -> Any:
        self.ping()
        return super().upsert_memory(memory, **options)


unreachable("R8-what-is-no-json-is-refused-before-any-io-memory", AsksBeforeItLooks)
unreachable("R7-failure-is-never-emptiness", SwallowsErrors)
unreachable("R7-failure-is-never-emptiness", FailsSilentlyToWrite)
unreachable("R11-no-password-is-ever-shown", ShowsItsPassword)


# --- R8


@on_store("R8-what-was-written-is-what-is-read-memory")
class ReplacesSurrogates(InMemoryStore):
    async def put(self, write: Write) -> Record:
        text = payloads.to_json(write.record.payload).replace("\\u001bd800", "?")
        return await super().put(rewritten(write, payload=payloads.from_json(text)))


@on_store("R8-what-was-written-is-what-is-read-summary")
class ReadsFloatsAsInts(InMemoryStore):
    async def put(self, write: Write) -> Record:
        def change(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: change(item) for key, item in value.items()}
            return int(value) if isinstance(value, float) and value == 1.0 else value

        return await super().put(rewritten(write, payload=change(write.record.payload)))


@on_store("R8-an-update-replaces-the-payload-memory")
class MergesPayloads(InMemoryStore):
    async def put(self, write: Write) -> Record:
        found = self._of(write.record.kind).get(write.record.id)
        old = found.payload if found is not None else {}
        return await super().put(rewritten(write, payload={**old, **write.record.payload}))


@on_store("R8-rows-are-copies-memory")
class ReturnsWhatItStores(InMemoryStore):
    async def get(self, kind: Kind, id: str, user_id: Any) -> Record | Corrupt | None:
        return self._find(kind, id, user_id)


@on_db("R8-what-is-no-json-is-refused-by-its-path-memory")
class StoresWhatIsNoJson(StoredMemoryDb):
    def upsert_memory(self, memory: Any, **options: Any) -> Any:
        try:
            return super().upsert_memory(memory, **options)
        except ValueError:
            return super().upsert_memory(MemoryRow({"repr": repr(memory.memory)}, memory.id))


# --- R9, R10, R12


@on_store("R9-create-is-idempotent")
class CreatesAfresh(InMemoryStore):
    async def create(self) -> None:
        self._records = {kind: {} for kind in Kind}

    async def put(self, write: Write) -> Record:
        if self._records is None:
            await self.create()
        records = self._of(write.record.kind)
        merged = merge(records.get(write.record.id), write)
        records[write.record.id] = merged._replace(
            position=merged.position or next(self._positions)
        )
        return deepcopy(records[write.record.id])


@on_store("R9-upgrade-of-a-current-store-changes-nothing")
class UpgradesByMaking(InMemoryStore):
    async def upgrade(self) -> None:
        await self.create()


@on_db("R10-close-is-idempotent-and-final")
class WorksAfterClose(StoredMemoryDb):
    def close(self) -> None:
        """Stays open."""


@on_db("R10-a-deep-copy-shares-the-store")
class CopiesItsStore(StoredMemoryDb):
    def __deepcopy__(self, memo: Any) -> Any:
        return StoredMemoryDb(InMemoryStore())


class BlocksTheLoop(ThreadedMemoryDb):
    async def upsert_memories(self, memories: Any) -> Any:  # type: ignore[override]
        return self.sync_db.upsert_memories(memories)


class WorksInOneLoop(ThreadedMemoryDb):
    lock: Any = None

    async def upsert_memory(self, memory: Any, **options: Any) -> Any:  # type: ignore[override]
        import asyncio

        self.lock = self.lock or asyncio.get_running_loop()
        if self.lock is not asyncio.get_running_loop():
            raise RuntimeError("bound to a different event loop")
        return self.sync_db.upsert_memory(memory)


def asynchronous(kills: str, cls: type[ThreadedMemoryDb]) -> None:
    def make() -> Subject:
        store = InMemoryStore()
        return Subject(open=lambda: cls(StoredMemoryDb(store)))

    MUTANTS[cls.__name__] = kills, make


asynchronous("R12-the-loop-goes-on-during-a-call", BlocksTheLoop)
asynchronous("R12-one-object-works-in-several-loops", WorksInOneLoop)


# --- R13


@on_store("R13-a-version-counts-the-writes-memory")
class NeverCounts(InMemoryStore):
    async def put(self, write: Write) -> Record:
        record = (await super().put(write))._replace(version=1)
        self._of(record.kind)[record.id] = record
        return record


@on_store("R13-an-update-happens-only-at-the-expected-version-memory")
class IgnoresTheExpectedVersion(InMemoryStore):
    async def put(self, write: Write) -> Record:
        return await super().put(write._replace(if_version=None))


@on_store("R13-a-deletion-happens-only-at-the-expected-version-memory")
class DeletesAnyVersion(InMemoryStore):
    async def delete(self, kind: Kind, id: str, user_id: Any, if_version: Any) -> bool:
        return await super().delete(kind, id, user_id, None)


@on_store("R13-only-one-creator-wins-memory")
class LooksBeforeItCreates(InMemoryStore):
    gate = threading.Barrier(8)

    async def put(self, write: Write) -> Record:
        if write.if_version == 0:
            taken = write.record.id in self._of(write.record.kind)
            self.gate.wait(10)
            if taken:
                raise ConflictError(write.record.id, 0, 1)
            write = write._replace(if_version=None)
        return await super().put(write)


# --- R14


class KeepsExpiredRowsInTheCount(InMemoryStore):
    """A store with an expiry, which counts what it no longer lists."""

    def __init__(self) -> None:
        super().__init__()
        self.expired: set[tuple[Kind, str]] = set()
        self.short = False

    async def put(self, write: Write) -> Record:
        key = write.record.kind, write.record.id
        if self.short:
            self.expired.add(key)
        else:
            self.expired.discard(key)
        return await super().put(write)

    async def page(self, kind: Kind, user_id: Any, **options: Any) -> Any:
        rows = await super().page(kind, user_id, **options)
        return [row for row in rows if (kind, row.id) not in self.expired]

    def _find(self, kind: Kind, id: str, user_id: Any) -> Record | None:
        return None if (kind, id) in self.expired else super()._find(kind, id, user_id)


def _expiring() -> Subject:
    store = KeepsExpiredRowsInTheCount()

    class Short(StoredMemoryDb):
        def upsert_memory(self, memory: Any, **options: Any) -> Any:
            store.short = True
            try:
                return super().upsert_memory(memory, **options)
            finally:
                store.short = False

    return Subject(
        open=lambda: StoredMemoryDb(store),
        expiring=lambda seconds: (Short if seconds == 1 else StoredMemoryDb)(store),
        wait_expired=lambda: None,
        waits=False,
    )


MUTANTS["KeepsExpiredRowsInTheCount"] = "R14-an-expired-row-is-gone-everywhere", _expiring


# --- R15, R16


def _leaking() -> Subject:
    store = InMemoryStore()
    return Subject(
        open=lambda: StoredMemoryDb(store), neighbour=lambda: StoredMemoryDb(store), waits=False
    )


MUTANTS["LeaksTheNeighboursRows"] = "R15-stores-do-not-see-each-other-memory", _leaking
MUTANTS["ClearsTheNeighbour"] = "R15-clean-up-touches-only-this-store", _leaking


@on_store("R15-delete-user-takes-everything-of-one-user")
class DeletesByPrefix(InMemoryStore):
    async def delete_all(self, kind: Kind, user_id: Any) -> int:
        doomed = [
            r.id for r in self._of(kind).values() if (r.user_id or "").startswith(user_id or "")
        ]
        for id in doomed:
            del self._of(kind)[id]
        return len(doomed)


@on_store("R15-clear-empties-the-store")
class ClearsMemoriesOnly(InMemoryStore):
    async def delete_all(self, kind: Kind, user_id: Any) -> int:
        if kind is Kind.SUMMARY and user_id is None:
            return 0
        return await super().delete_all(kind, user_id)


@on_store("R16-stored-text-is-never-executed")
class ExpandsTemplates(InMemoryStore):
    async def put(self, write: Write) -> Record:
        text = payloads.to_json(write.record.payload).replace("{{7*7}}", "49")
        return await super().put(rewritten(write, payload=payloads.from_json(text)))


class HidesDamage(InMemoryStore):
    """Skips what it cannot decode, and does not say so."""

    damaged: set[str]

    def __init__(self) -> None:
        super().__init__()
        self.damaged = set()

    async def page(self, kind: Kind, user_id: Any, **options: Any) -> Any:
        rows = await super().page(kind, user_id, **options)
        return [row for row in rows if row.id not in self.damaged]


class CountsDamageInTheLimit(HidesDamage):
    """Says what it cannot decode, and hides readable rows behind it."""

    def _decoded(self, row: Any) -> Any:
        return Corrupt(row.id, row.user_id, row.position, "torn") if row.id in self.damaged else row

    async def page(self, kind: Kind, user_id: Any, **options: Any) -> Any:
        if options["after"] is not None:
            return []
        rows = await InMemoryStore.page(self, kind, user_id, **options)
        return [self._decoded(row) for row in rows]


def damaged(kills: str, cls: type[HidesDamage]) -> None:
    def make() -> Subject:
        store = cls()
        return Subject(
            open=lambda: StoredMemoryDb(store),
            corrupt=lambda id: store.damaged.add(id),
            waits=False,
        )

    MUTANTS[cls.__name__] = kills, make


damaged("R16-a-damaged-row-is-named-and-skipped", HidesDamage)
damaged("R4-the-limit-counts-readable-rows", CountsDamageInTheLimit)
