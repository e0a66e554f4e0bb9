"""R14: the end of rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from buddy.memory.storage import clock
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.record import Corrupt, Key, Kind, Record, Scope, Write
from buddy.memory.testing import BackendUnderTest
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
from tests.conformance_kit.broken_backends.declare import BROKEN, on_store


@on_store("R14-a-row-that-has-ended-is-in-no-read-memory")
class CountsEndedRows(InMemoryStore):
    """Counts what it no longer lists."""

    async def count(self, kind: Kind, scope: Scope) -> int:
        return sum(scope.covers(key.user_id) for key in self._of(kind))


@on_store("R14-a-row-that-has-ended-is-in-no-read-summary")
class ListsUsersOfEndedRows(InMemoryStore):
    """A user of whom nothing is left is still a user."""

    async def users(
        self, kind: Kind, *, prefix: str, after: str | None, limit: int | None
    ) -> list[str]:
        named = {key.user_id for key in self._of(kind) if key.user_id is not None}
        named = {user for user in named if user.startswith(prefix)}
        return sorted(user for user in named if after is None or user > after)[:limit]


@on_store("R14-a-row-that-has-ended-is-not-found")
class MarksNothingAtTheEnd(InMemoryStore):
    """A mark counts ended rows, so that an index of them stays valid."""

    async def mark(self, kind: Kind, user_id: str | None) -> str | None:
        return f"{sum(key.user_id == user_id for key in self._of(kind))}:0"


@on_store("R14-a-write-over-it-is-a-first-write-memory")
class GoesOnCounting(InMemoryStore):
    """The version of an ended row is counted on."""

    async def put(self, write: Write) -> Record:
        before = self._of(write.record.kind).get(write.record.key)
        if before is not None and write.if_version is None:
            write = write._replace(record=write.record._replace(version=before.version + 1))
        return await super().put(write)


@on_store("R14-an-end-that-is-over-is-not-kept-memory")
class KeepsAnEndThatIsOver(InMemoryStore):
    """KEEP takes the end of the row that is stored, whether it has come or not."""

    async def put(self, write: Write) -> Record:
        before = self._of(write.record.kind).get(write.record.key)
        record = await super().put(write)
        if not write.keep or before is None:
            return record
        kept = record._replace(expires_at=before.expires_at)
        self._of(record.kind)[record.key] = kept
        return kept


@on_store("R14-bulk-writes-over-them-are-first-writes-memory")
class KeepsThePlace(InMemoryStore):
    """A row that takes the place of an ended one stands where that stood."""

    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        ordered = sorted(writes, key=lambda write: write.record.key not in self._of(Kind.MEMORY))
        done = {record.key: record for record in await super().put_many(ordered)}
        return [done[write.record.key] for write in writes]


@on_store("R14-a-ttl-counts-from-the-write-on-memory")
class ForgetsTheEndInBulk(InMemoryStore):
    """Rows of a bulk write never end."""

    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        return await super().put_many([write._replace(ttl=None) for write in writes])


@on_store("R14-keep-and-never-are-kept-and-never-memory")
class MakesImmortal(InMemoryStore):
    """An edit that keeps the end takes it away."""

    async def put(self, write: Write) -> Record:
        return await super().put(write._replace(keep=False))


@on_store("R14-what-is-read-changed-and-written-keeps-its-end-memory")
class IgnoresTheRowsOwnEnd(InMemoryStore):
    """The end that a row brings along counts for nothing."""

    async def put(self, write: Write) -> Record:
        return await super().put(
            write._replace(record=write.record._replace(expires_at=None), ttl=write.ttl)
        )


@on_store("R14-a-touch-moves-the-end-alone-memory")
class TouchesByWriting(InMemoryStore):
    """A touch is another version."""

    async def touch(
        self, kind: Kind, user_id: str | None, ids: Sequence[str], ttl: timedelta | None
    ) -> int:
        count = await super().touch(kind, user_id, ids, ttl)
        for id in ids:
            found = self._living(kind, user_id, id)
            if found is not None:
                self._of(kind)[found.key] = found._replace(version=found.version + 1)
        return count


@on_store("R14-a-touch-undoes-no-write-memory")
class TouchesWhatItReadBefore(InMemoryStore):
    """A touch writes back the row as it first saw it."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[Key, Record] = {}

    async def touch(
        self, kind: Kind, user_id: str | None, ids: Sequence[str], ttl: timedelta | None
    ) -> int:
        count = await super().touch(kind, user_id, ids, ttl)
        for id in ids:
            found = self._living(kind, user_id, id)
            if found is not None:
                old = self._seen.setdefault(found.key, found)
                self._of(kind)[found.key] = found._replace(payload=old.payload)
        return count


@on_store("R14-a-page-fills-with-living-rows-memory")
class PagesWithGaps(InMemoryStore):
    """Leaves ended rows out of a page after it was cut."""

    async def page(
        self,
        kind: Kind,
        scope: Scope,
        *,
        newest_first: bool,
        after: Any,
        limit: int | None,
    ) -> list[Record | Corrupt]:
        real = clock.utc_now
        clock.utc_now = lambda: clock.EPOCH
        try:
            page = await super().page(
                kind, scope, newest_first=newest_first, after=after, limit=limit
            )
        finally:
            clock.utc_now = real
        now = clock.utc_now()
        return [
            row
            for row in page
            if not isinstance(row, Record) or row.expires_at is None or row.expires_at > now
        ]


@on_store("R14-a-sweep-removes-what-has-ended")
class SweepsTooMuch(InMemoryStore):
    """Removes what is to end some day."""

    async def sweep(self, kind: Kind, limit: int) -> int:
        records = self._of(kind)
        doomed = [key for key, record in records.items() if record.expires_at is not None]
        for key in doomed[:limit]:
            del records[key]
        return len(doomed[:limit])


@on_store("R14-a-ttl-counts-from-the-write-on-memory")
class GivesEndsToTheFirstHundred(InMemoryStore):
    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        late = [write._replace(ttl=None) for write in writes[100:]]
        return await super().put_many([*writes[:100], *late])


@on_store("R14-a-sweep-leaves-nothing-that-has-ended-summary")
class SweepsMemoriesOnly(InMemoryStore):
    async def sweep(self, kind: Kind, limit: int) -> int:
        return 0 if kind is Kind.SUMMARY else await super().sweep(kind, limit)


@on_store("R14-deletions-do-not-count-it-memory")
class LeavesEndedRows(InMemoryStore):
    """A deletion of everything leaves what has ended."""

    async def delete_all(self, kind: Kind, scope: Scope) -> int:
        doomed = [record.key for record in self._within(kind, scope)]
        for key in doomed:
            del self._of(kind)[key]
        return len(doomed)


@on_store("R14-a-user-is-forgotten-with-it-memory")
class ForgetsTheLivingOnly(LeavesEndedRows):
    """As LeavesEndedRows, for one user."""


@on_store("R14-a-wrong-ttl-is-refused-memory")
class TakesAnyTtl(InMemoryStore):
    """Stores first and refuses afterwards."""

    async def touch(
        self, kind: Kind, user_id: str | None, ids: Sequence[str], ttl: timedelta | None
    ) -> int:
        if not ids:
            return 0
        return await super().touch(kind, user_id, ids, ttl)

    async def ping(self) -> None:
        write = Write(Record(Kind.MEMORY, "ann", "a", {}, clock.EPOCH, clock.EPOCH), clock.EPOCH)
        await self.put(write)


@on_store("R14-keep-comes-before-the-end-of-a-store-memory")
class KeepsWithADefault(InMemoryStore):
    """KEEP is COALESCE(the stored end, the default): a row without an end gets one."""

    async def put(self, write: Write) -> Record:
        stored = self._living(write.record.kind, *write.record.key)
        if stored is not None and stored.expires_at is None:
            write = write._replace(keep=False)
        return await super().put(write)


@on_store("R14-a-touch-moves-the-end-alone-memory")
class TouchesNothingOfNobody(InMemoryStore):
    """A touch compares with NULL."""

    async def touch(
        self, kind: Kind, user_id: str | None, ids: Sequence[str], ttl: timedelta | None
    ) -> int:
        return await super().touch(kind, user_id, () if user_id is None else ids, ttl)


@on_store("R14-deletions-do-not-count-it-memory")
class DeletesAtTheVersionOfWhatEnded(InMemoryStore):
    """A conditional deletion compares with the version of a row that has ended."""

    async def delete(
        self, kind: Kind, user_id: str | None, id: str, if_version: int | None
    ) -> bool:
        ended = self._of(kind).get(Key(user_id, id))
        if ended is not None and ended.version == if_version:
            if_version = None
        return await super().delete(kind, user_id, id, if_version)


@on_store("R14-an-ended-row-blocks-no-other-memory")
class RestoresNothingOverWhatEnded(InMemoryStore):
    """Restores as ON CONFLICT DO NOTHING does: a row that has ended is in the way."""

    async def restore(self, writes: Sequence[Write]) -> list[Key]:
        there = set(self._of(writes[0].record.kind))
        return await super().restore([each for each in writes if each.record.key not in there])


@on_store("R14-an-ended-row-blocks-no-other-summary")
class FindsTwoAndThenLeavesEndedOut(InMemoryStore):
    """Takes two rows of an id, and of these the living ones."""

    async def find(self, kind: Kind, ids: Sequence[str]) -> list[Record | Corrupt]:
        found: list[Record | Corrupt] = []
        for id in ids:
            first = [key for key in self._of(kind) if key.id == id][:2]
            found += filter(None, [self._living(kind, *key) for key in first])
        return found


def forgets_expire(_: Path) -> BackendUnderTest:
    """A constructor takes ``expire``, and does nothing with it."""
    store = InMemoryStore()
    return BackendUnderTest(
        open=lambda: StoreBackedMemoryDb(store),
        expiring=lambda: StoreBackedMemoryDb(store),
        waits=False,
    )


BROKEN["ForgetsExpire", "R14-a-store-may-end-its-rows-memory"] = forgets_expire


@on_store("R14-a-row-that-has-ended-is-in-no-read-memory")
class LimitsUsersBeforeItLooksAtTheirRows(InMemoryStore):
    """A user of whom nothing is left takes the place of another one under a limit."""

    async def users(
        self, kind: Kind, *, prefix: str, after: str | None, limit: int | None
    ) -> list[str]:
        living = await super().users(kind, prefix=prefix, after=after, limit=None)
        named = {key.user_id for key in self._of(kind) if key.user_id is not None}
        behind = sorted(u for u in named if u.startswith(prefix) and (after is None or u > after))
        return [user for user in behind[:limit] if user in living]
