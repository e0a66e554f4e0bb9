"""R1: rows, and whose they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from buddy.memory.errors import AmbiguousIdError, InvalidMemoryError
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.record import EVERYBODY, Key, Kind, Record, Scope, Write
from buddy.memory.storage.users import NOBODY
from buddy.memory.v2.db.schema import MemoryRow
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
from tests.conformance_kit.broken_backends.declare import on_db, on_store, rewritten


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
    async def page(self, kind: Kind, scope: Scope, **options: Any) -> Any:
        return await super().page(kind, EVERYBODY if scope.name == "" else scope, **options)


@on_db("R1-illegal-keys-are-refused-memory")
class FindsNothingForIllegalIds(StoreBackedMemoryDb):
    def read_memory(self, *args: Any, **options: Any) -> Any:
        try:
            return super().read_memory(*args, **options)
        except InvalidMemoryError:
            return None


@on_store("R1-a-row-is-named-by-its-user-and-its-id-memory")
class KeepsOneRowOfAnId(InMemoryStore):
    """An id names one row of the store; who writes it last has it."""

    async def put(self, write: Write) -> Record:
        records = self._of(write.record.kind)
        for key in [key for key in records if key.id == write.record.id]:
            if key != write.record.key:
                del records[key]
        return await super().put(write)


@on_store("R1-bulk-calls-keep-users-apart-memory")
class MatchesBulkWritesById(InMemoryStore):
    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        stored = {record.id: record for record in await super().put_many(writes)}
        return [stored[write.record.id] for write in writes]


@on_store("R1-an-id-of-several-users-is-ambiguous-memory")
class TakesTheFirstOwner(InMemoryStore):
    async def find(self, kind: Kind, ids: Sequence[str]) -> Any:
        return list({row.id: row for row in await super().find(kind, ids)}.values())


@on_db("R1-an-id-of-several-users-is-ambiguous-memory")
class DeletesUntilAnIdIsAmbiguous(StoreBackedMemoryDb):
    def delete_memories(self, ids: Any, *, user_id: Any = None) -> int:
        return sum([self.delete_memory(id, user_id=user_id) for id in dict.fromkeys(ids)])


@on_db("R1-an-id-of-several-users-is-ambiguous-memory")
class TellsWhoHasAnId(StoreBackedMemoryDb):
    def read_memory(self, id: str, *, user_id: Any = None) -> Any:
        try:
            return super().read_memory(id, user_id=user_id)
        except AmbiguousIdError as error:
            users = [row.user_id for row in self.read_memories() if row.id == id]
            error.args = (f"{error} {users}",)
            raise


@on_store("R1-an-id-of-hundreds-of-users-is-ambiguous-memory")
class LooksAtAHundredOwners(InMemoryStore):
    async def find(self, kind: Kind, ids: Sequence[str]) -> Any:
        rows = [row for row in self._of(kind).values() if row.id in ids]
        return rows if len(rows) <= 100 else rows[:1]


@on_db("R1-the-first-ambiguous-id-is-named-memory")
class NamesTheLeastAmbiguousId(StoreBackedMemoryDb):
    def read_memories_by_id(self, ids: Any, *, user_id: Any = None) -> Any:
        return super().read_memories_by_id(sorted(ids), user_id=user_id)


@on_store("R1-a-store-finds-two-rows-of-an-id-at-most-memory")
class FindsAllOwners(InMemoryStore):
    async def find(self, kind: Kind, ids: Sequence[str]) -> Any:
        return [row for row in self._of(kind).values() if row.id in ids]


@on_store("R1-a-store-finds-two-rows-of-an-id-at-most-summary")
class LimitsWhatItFindsAsAWhole(FindsAllOwners):
    async def find(self, kind: Kind, ids: Sequence[str]) -> Any:
        return (await super().find(kind, ids))[: 2 * len(ids)]


@on_store("R1-writers-of-one-id-do-not-meet-memory")
class CountsVersionsById(InMemoryStore):
    async def put(self, write: Write) -> Record:
        with self._lock:
            others = sum(key.id == write.record.id for key in self._of(write.record.kind))
            return await super().put(rewritten(write, version=others + 1))


@on_store("R1-another-users-row-does-not-exist-memory")
class IgnoresTheUserOfDeletions(InMemoryStore):
    async def delete(self, kind: Kind, user_id: Any, id: str, if_version: Any) -> bool:
        owners = [key.user_id for key in self._of(kind) if key.id == id]
        return bool(owners) and await super().delete(kind, owners[0], id, if_version)


@on_store("R1-exists-speaks-of-exactly-that-row")
class ExistsForAnybody(InMemoryStore):
    async def has(self, kind: Kind, user_id: Any, id: str) -> bool:
        if user_id is None:
            return bool(await self.find(kind, [id]))
        return await super().has(kind, user_id, id)


@on_store("R1-memories-and-summaries-have-ids-of-their-own")
class MixesKinds(InMemoryStore):
    def _of(self, kind: Kind) -> dict[Key, Record]:
        return super()._of(Kind.MEMORY)


@on_db("R1-a-missing-id-is-made")
class MakesOneIdForAll(StoreBackedMemoryDb):
    def upsert_memory(self, memory: Any, **options: Any) -> Any:
        if memory.memory == {"m": "therapist called"}:
            memory = MemoryRow(memory.memory, "same", memory.user_id)
        return super().upsert_memory(memory, **options)


# --- nobody


@on_db("R1-nobody-is-one-object-memory")
class TakesNobodyForEverybody(StoreBackedMemoryDb):
    def count_memories(self, user_id: Any = None, **options: Any) -> int:
        return super().count_memories(user_id if isinstance(user_id, str) else None, **options)


@on_store("R1-the-empty-user-is-not-nobody-memory")
class KeepsTheEmptyUserAsNobody(InMemoryStore):
    async def put(self, write: Write) -> Record:
        return await super().put(rewritten(write, user_id=write.record.user_id or None))


@on_db("R1-a-user-has-to-be-named")
class DeletesRowsOfNobodyForNone(StoreBackedMemoryDb):
    def delete_user(self, user_id: Any) -> Any:
        return super().delete_user(NOBODY if user_id is None else user_id)


@on_db("R1-a-user-has-to-be-named")
class MarksEverybodyForNone(StoreBackedMemoryDb):
    def change_mark(self, user_id: Any) -> Any:
        return str(self.count_memories()) if user_id is None else super().change_mark(user_id)


# --- reads by ids


@on_db("R1-reads-by-ids-keep-the-order-asked-memory")
class ReturnsRowsByIdAsStored(StoreBackedMemoryDb):
    def read_memories_by_id(self, ids: Any, *, user_id: Any = None) -> Any:
        rows = super().read_memories_by_id(ids, user_id=user_id)
        return sorted(rows, key=lambda row: row.id if row else "")


@on_db("R1-reads-by-ids-keep-the-order-asked-summary")
class LeavesOutWhatIsNotThere(StoreBackedMemoryDb):
    def read_summaries_by_id(self, session_ids: Any, *, user_id: Any = None) -> Any:
        return [row for row in super().read_summaries_by_id(session_ids, user_id=user_id) if row]


@on_store("R1-reads-by-ids-take-any-number-memory")
class FindsAThousandIdsAtMost(InMemoryStore):
    async def get_many(self, kind: Kind, keys: Sequence[Key]) -> Any:
        missing: list[Any] = [None] * len(keys[1000:])
        return await super().get_many(kind, keys[:1000]) + missing


@on_db("R1-reads-by-ids-take-any-number-summary")
class ReturnsOneObjectForOneId(StoreBackedMemoryDb):
    def read_summaries_by_id(self, session_ids: Any, *, user_id: Any = None) -> Any:
        rows = super().read_summaries_by_id(session_ids, user_id=user_id)
        by_id = {row.id: row for row in rows if row}
        return [row and by_id[row.id] for row in rows]


@on_db("R1-ids-have-to-be-a-list-memory")
class TakesAStringForIds(StoreBackedMemoryDb):
    def delete_memories(self, ids: Any, *, user_id: Any = None) -> int:
        return super().delete_memories([ids] if isinstance(ids, str) else ids, user_id=user_id)


@on_store("R1-bulk-calls-keep-users-apart-memory")
class DeletesOneIdOfEverybody(InMemoryStore):
    async def delete_many(self, kind: Kind, keys: Sequence[Key]) -> int:
        found = await super().delete_many(kind, keys)
        if len(keys) == 1:
            for key in [key for key in self._of(kind) if key.id == keys[0].id]:
                del self._of(kind)[key]
        return found
