"""R5: scopes and users."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.record import Kind, Reach, Record, Scope, Write
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
from tests.conformance_kit.broken_backends.declare import on_db, on_store


@on_store("R5-a-table-that-was-never-made-reads-as-empty-memory")
class MakesTheTableByReading(InMemoryStore):
    async def count(self, kind: Kind, scope: Scope) -> int:
        await self.create()
        return await super().count(kind, scope)


@on_store("R5-no-user-means-all-users-memory")
class HidesRowsWithoutOwner(InMemoryStore):
    async def page(self, kind: Kind, scope: Scope, **options: Any) -> Any:
        rows = await super().page(kind, scope, **options)
        return [row for row in rows if row.user_id is not None]


@on_store("R5-the-first-write-makes-the-table-memory")
class ForgetsThatItWasDropped(InMemoryStore):
    async def drop(self) -> None:
        self._records = {kind: {} for kind in Kind}


class Prefixes(InMemoryStore):
    """Has an idea of its own of the users under a prefix."""

    def covers(self, prefix: str, user: str | None) -> bool:
        raise NotImplementedError

    def _within(self, kind: Kind, scope: Scope) -> Iterator[Record]:
        for row in super()._within(kind, Scope(Reach.EVERYBODY)):
            if scope.reach is Reach.PREFIX:
                if self.covers(scope.name or "", row.user_id):
                    yield row
            elif scope.covers(row.user_id):
                yield row


@on_store("R5-a-prefix-means-the-users-that-begin-with-it-memory")
@on_store("R15-delete-users-takes-all-under-a-prefix-memory")
class TakesPrefixesForPatterns(Prefixes):
    """As LIKE does, where nothing is escaped."""

    def covers(self, prefix: str, user: str | None) -> bool:
        if user is None or len(user) < len(prefix):
            return False
        return all(p in ("%", "_", u) for p, u in zip(prefix, user, strict=False))


@on_store("R5-a-prefix-means-the-users-that-begin-with-it-memory")
class EndsPrefixesBelowAstralCharacters(Prefixes):
    """The upper end of the range is thought to be the prefix and U+FFFF."""

    def covers(self, prefix: str, user: str | None) -> bool:
        return user is not None and prefix <= user < prefix + "\uffff"


@on_store("R5-a-read-takes-a-prefix-memory")
class CountsNobodyUnderTheEmptyPrefix(Prefixes):
    def covers(self, prefix: str, user: str | None) -> bool:
        return (user or "").startswith(prefix)


@on_db("R5-a-read-takes-a-prefix-memory")
class LimitsBeforeItLooksAtThePrefix(StoreBackedMemoryDb):
    def read_memories(
        self, *args: Any, user_prefix: Any = None, limit: Any = None, **options: Any
    ) -> Any:
        if user_prefix is None:
            return super().read_memories(*args, limit=limit, **options)
        rows = super().read_memories(*args, limit=limit, **options)
        named = [row for row in rows if row.user_id is not None]
        return [row for row in named if row.user_id.startswith(user_prefix)]


@on_db("R5-a-listing-takes-a-user-or-a-prefix-memory")
class IgnoresThePrefixBesideAUser(StoreBackedMemoryDb):
    def count_memories(self, user_id: Any = None, *, user_prefix: Any = None) -> int:
        return super().count_memories(user_id, user_prefix=None if user_id else user_prefix)


# --- users


def _utf16(user: str) -> bytes:
    return user.encode("utf-16-be")


@on_store("R5-users-are-listed-by-prefix-and-pages-summary")
class SortsUsersAsUtf16(InMemoryStore):
    async def users(self, kind: Kind, *, prefix: str, after: Any, limit: Any) -> list[str]:
        users = await super().users(kind, prefix=prefix, after=None, limit=None)
        users.sort(key=_utf16)
        return [user for user in users if after is None or _utf16(user) > _utf16(after)][:limit]


@on_db("R5-users-are-listed-in-code-point-order-memory")
class SortsWhatItListsAsUtf16(StoreBackedMemoryDb):
    def list_users(self, **options: Any) -> list[str]:
        return sorted(super().list_users(**options), key=_utf16)


@on_store("R5-users-are-listed-in-code-point-order-summary")
class ListsNobody(InMemoryStore):
    async def users(self, kind: Kind, **options: Any) -> list[str]:
        users = await super().users(kind, **options)
        nobody = any(key.user_id is None for key in self._of(kind))
        return sorted({*users, "None"}) if nobody else users


@on_store("R5-users-are-listed-by-prefix-and-pages-memory")
class ListsTheUserItShouldBeBehind(InMemoryStore):
    async def users(self, kind: Kind, *, prefix: str, after: Any, limit: Any) -> list[str]:
        users = await super().users(kind, prefix=prefix, after=None, limit=None)
        return [user for user in users if after is None or user >= after][:limit]


@on_store("R5-users-of-summaries-are-listed-too")
class ListsUsersOfMemoriesOnly(InMemoryStore):
    async def users(self, kind: Kind, **options: Any) -> list[str]:
        return [] if kind is Kind.SUMMARY else await super().users(kind, **options)


@on_store("R5-a-user-without-rows-is-not-listed-memory")
class RemembersUsers(InMemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    async def put(self, write: Write) -> Record:
        if write.record.user_id is not None:
            self.seen.add(write.record.user_id)
        return await super().put(write)

    async def users(self, kind: Kind, **options: Any) -> list[str]:
        return sorted(self.seen)


@on_db("R5-wrong-arguments-of-a-list-of-users-are-errors-memory")
class ListsAllUsersForAnyLimit(StoreBackedMemoryDb):
    def list_users(self, *, limit: Any = None, **options: Any) -> list[str]:
        return super().list_users(**options)[: limit if isinstance(limit, int) else None]
