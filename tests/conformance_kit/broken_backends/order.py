"""R3, R4: order and limit."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from buddy.memory.storage import clock
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.record import Kind, Reach, Record, Scope, Write, merge
from buddy.memory.testing import BackendUnderTest
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
from tests.conformance_kit.broken_backends.declare import BROKEN, on_db, on_store, rewritten


class Sorts(InMemoryStore):
    """Orders pages by something else than the order of first writing."""

    def key(self, row: Record) -> Any:
        raise NotImplementedError

    async def page(self, kind: Kind, scope: Scope, **options: Any) -> Any:
        rows: Any = await InMemoryStore.page(
            self, kind, scope, newest_first=False, after=None, limit=None
        )
        rows.sort(key=self.key, reverse=options["newest_first"])
        after = options["after"]
        start = [row.position for row in rows].index(after) + 1 if after is not None else 0
        return rows[start:][: options["limit"]]


@on_store("R3-order-is-the-order-of-writing-memory")
class OrdersByIds(Sorts):
    def key(self, row: Record) -> Any:
        return row.id


@on_store("R3-order-is-not-that-of-given-times-memory")
class OrdersByCreatedAt(Sorts):
    def key(self, row: Record) -> Any:
        return row.created_at


@on_store("R3-order-holds-within-one-tick-and-when-the-clock-steps-back-memory")
class DropsTheTieBreak(Sorts):
    def key(self, row: Record) -> Any:
        return row.updated_at, row.id


@on_store("R3-order-is-kept-by-another-opener-whose-clock-is-behind-memory")
class OrdersByTheClock(Sorts):
    def key(self, row: Record) -> Any:
        return row.updated_at


@on_store("R3-a-row-written-anew-is-the-newest-memory")
class RemembersPlaces(Sorts):
    def __init__(self) -> None:
        super().__init__()
        self.places: dict[str, int] = {}

    def key(self, row: Record) -> Any:
        return self.places[row.id]

    async def put(self, write: Write) -> Record:
        record = await super().put(write)
        self.places.setdefault(record.id, record.position)
        return record


@on_store("R3-order-over-users-is-the-order-of-writing-memory", order_across_users=True)
class OrdersUsersByTheClock(Sorts):
    """Within a user the order is sound; over users it is that of clocks."""

    def key(self, row: Record) -> Any:
        return row.created_at, row.position

    async def page(self, kind: Kind, scope: Scope, **options: Any) -> Any:
        by_clock = scope.reach is not Reach.USER
        cls: type[InMemoryStore] = Sorts if by_clock else InMemoryStore
        return await cls.page(self, kind, scope, **options)


@on_store("R3-order-of-bulk-writes-is-the-order-given-memory")
class ReversesBulk(InMemoryStore):
    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        return (await super().put_many(writes[::-1]))[::-1]


@on_store("R3-pages-keep-the-order-memory")
class RepeatsTheLastRowOfAPage(InMemoryStore):
    async def page(self, kind: Kind, scope: Scope, **options: Any) -> Any:
        if options["after"] is not None:
            options["after"] += 1 if options["newest_first"] else -1
        return await super().page(kind, scope, **options)


@on_store("R3-order-of-writers-at-once-is-total-memory")
class LooksUpTheNextPosition(InMemoryStore):
    async def put(self, write: Write) -> Record:
        await self.create()
        records, key = self._of(write.record.kind), write.record.key
        position = max((r.position for r in list(records.values())), default=0) + 1
        time.sleep(0.0001)  # noqa: ASYNC251  (what a second round trip takes)
        with self._lock:
            merged = merge(records.get(key), write, clock.utc_now())
            records[key] = merged._replace(position=merged.position or position)
            return deepcopy(records[key])


@on_db("R3-an-unknown-sort-is-an-error-memory")
class TakesAnySort(StoreBackedMemoryDb):
    def read_memories(
        self, user_id: Any = None, limit: Any = None, sort: Any = None, **options: Any
    ) -> Any:
        return super().read_memories(user_id, limit, "asc" if sort == "asc" else None, **options)


@on_store("R3-pages-do-not-move-while-rows-are-deleted-memory")
class PagesByOffset(InMemoryStore):
    """What comes next is found by how many rows were shown, and not by the last one shown."""

    shown = 0

    async def page(
        self, kind: Kind, scope: Scope, *, newest_first: bool, after: Any, limit: Any
    ) -> Any:
        self.shown = 0 if after is None else self.shown
        rows = await super().page(kind, scope, newest_first=newest_first, after=None, limit=None)
        rows = rows[self.shown :][:limit]
        self.shown += len(rows)
        return rows


# --- the order of several processes


class OnFile(InMemoryStore):
    """A store in a file, whose rows are ordered by the clocks of those who write them."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file, self.last = file, 0

    async def put(self, write: Write) -> Record:
        if self.file.exists():
            self._records = pickle.loads(self.file.read_bytes())  # noqa: S301
        position = max(self.last + 1, int(clock.utc_now().timestamp() * 1e6))
        record = await super().put(rewritten(write, position=position))
        self.last = record.position
        self.file.write_bytes(pickle.dumps(self._records))
        return record

    async def page(self, kind: Kind, scope: Scope, **options: Any) -> Any:
        self._records = pickle.loads(self.file.read_bytes())  # noqa: S301
        rows = sorted(self._within(kind, scope), key=lambda row: row.position)
        return rows[::-1][: options["limit"]] if options["newest_first"] else rows


class OnFileAfterWhatWasRead(OnFile):
    async def page(self, kind: Kind, scope: Scope, **options: Any) -> Any:
        rows = await super().page(kind, scope, **options)
        self.last = max([self.last, *[row.position for row in rows]])
        return rows


class BoundToItsProcess(OnFile):
    """Has a connection that a forked child cannot use."""

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self.process = os.getpid()

    async def put(self, write: Write) -> Record:
        if os.getpid() != self.process:
            raise RuntimeError("the connection is another process's")
        return await super().put(write)


def _on_file(check: str, cls: type[OnFile], **subject: Any) -> None:
    def make(folder: Path) -> BackendUnderTest:
        return BackendUnderTest(
            open=lambda: StoreBackedMemoryDb(cls(folder / "rows")),
            forks=True,
            waits=False,
            **subject,
        )

    BROKEN[cls.__name__, check] = make


_on_file("R10-a-forked-child-gets-its-own-connections", BoundToItsProcess)
_on_file("R3-a-process-writes-behind-what-it-has-read-memory", OnFile)
_on_file(
    "R3-processes-write-behind-each-other-memory",
    OnFileAfterWhatWasRead,
    order_without_clocks=True,
)


# --- R4


@on_store("R4-limit-is-the-first-n-memory")
class LimitsTheWrongEnd(InMemoryStore):
    async def page(self, kind: Kind, scope: Scope, **options: Any) -> Any:
        limit = options.pop("limit")
        rows = await super().page(kind, scope, limit=None, **options)
        return rows if limit is None else rows[-limit:]


@on_db("R4-limit-is-the-first-n-memory")
class LimitsBeforeItFilters(StoreBackedMemoryDb):
    def read_memories(
        self, user_id: Any = None, limit: Any = None, sort: Any = None, **options: Any
    ) -> Any:
        rows = super().read_memories(None, limit, sort, **options)
        return [row for row in rows if user_id in (None, row.user_id)]


@on_db("R4-a-wrong-limit-is-an-error-memory")
class TakesNegativeLimits(StoreBackedMemoryDb):
    def read_memories(
        self, user_id: Any = None, limit: Any = None, sort: Any = None, **options: Any
    ) -> Any:
        limit = None if isinstance(limit, int) and limit < 0 else limit
        return super().read_memories(user_id, limit, sort, **options)
