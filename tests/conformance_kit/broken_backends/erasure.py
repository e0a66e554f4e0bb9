"""R15, R21: clean-up, and deletions beside writers."""

from __future__ import annotations

import time
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from buddy.memory.receipt import Receipt
from buddy.memory.storage import clock
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.record import Kind, Reach, Scope
from buddy.memory.testing import BackendUnderTest
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
from tests.conformance_kit.broken_backends.declare import BROKEN, on_db, on_store


def _leaking(_: Path) -> BackendUnderTest:
    store = InMemoryStore()
    return BackendUnderTest(
        open=lambda: StoreBackedMemoryDb(store),
        neighbour=lambda: StoreBackedMemoryDb(store),
        waits=False,
    )


BROKEN["LeaksTheNeighboursRows", "R15-stores-do-not-see-each-other-memory"] = _leaking
BROKEN["ClearsTheNeighbour", "R15-clean-up-touches-only-this-store"] = _leaking


class DropsByPattern(InMemoryStore):
    """One of the stores of a database, which takes its name for a pattern when it is dropped."""

    def __init__(self, name: str, all_of_them: dict[str, DropsByPattern]) -> None:
        super().__init__()
        self.name, self.all_of_them = name, all_of_them

    async def drop(self) -> None:
        for name, store in self.all_of_them.items():
            if name == self.name or fnmatchcase(name, self.name):
                await InMemoryStore.drop(store)


def _patterns(_: Path) -> BackendUnderTest:
    stores: dict[str, DropsByPattern] = {}

    def named(name: str) -> StoreBackedMemoryDb:
        return StoreBackedMemoryDb(stores.setdefault(name, DropsByPattern(name, stores)))

    return BackendUnderTest(open=lambda: named("notes"), named=named, waits=False)


BROKEN["DropsByPattern", "R15-a-name-is-no-pattern"] = _patterns


@on_store("R15-delete-user-takes-everything-of-one-user")
@on_store("R15-a-receipt-says-what-is-gone")
class DeletesByPrefix(InMemoryStore):
    """Takes the users along whose name begins with the user's."""

    async def delete_all(self, kind: Kind, scope: Scope) -> int:
        if scope.reach is Reach.USER and scope.name:
            scope = Scope.of_prefix(scope.name)
        return await super().delete_all(kind, scope)


@on_store("R15-clear-empties-the-store")
class ClearsMemoriesOnly(InMemoryStore):
    async def delete_all(self, kind: Kind, scope: Scope) -> int:
        if kind is Kind.SUMMARY and scope.reach is Reach.EVERYBODY:
            return 0
        return await super().delete_all(kind, scope)


@on_store("R15-delete-user-takes-any-number-of-rows")
class DeletesOneBatchOfAUser(InMemoryStore):
    async def delete_all(self, kind: Kind, scope: Scope) -> int:
        rows = await self.page(kind, scope, newest_first=False, after=None, limit=500)
        return sum([await self.delete(kind, *row.key, None) for row in rows])


@on_store("R15-a-receipt-counts-summaries")
@on_store("R15-delete-users-takes-both-kinds")
class KeepsSummariesOfUsers(InMemoryStore):
    async def delete_all(self, kind: Kind, scope: Scope) -> int:
        return 0 if kind is Kind.SUMMARY else await super().delete_all(kind, scope)


@on_store("R5-clean-up-does-not-make-the-table")
@on_store("R15-a-receipt-of-a-store-that-was-never-made")
class MakesTheTableByForgetting(InMemoryStore):
    async def delete_all(self, kind: Kind, scope: Scope) -> int:
        await self.create()
        return await super().delete_all(kind, scope)


@on_db("R15-a-receipt-says-what-is-gone")
class SignsWithoutDeleting(StoreBackedMemoryDb):
    def forget_user(self, user_id: Any) -> Receipt:
        return Receipt(user_id, "", clock.utc_now(), self.count_memories(user_id), 0, 0, 0)


@on_db("R15-a-receipt-says-what-is-gone")
class TellsPayloadsInReceipts(StoreBackedMemoryDb):
    def forget_user(self, user_id: Any) -> Receipt:
        last = str(self.read_memories(user_id, 1))
        return replace(super().forget_user(user_id), store=last)


@on_db("R15-delete-users-needs-a-prefix")
class ClearsForTheEmptyPrefix(StoreBackedMemoryDb):
    def delete_users(self, *, user_prefix: Any) -> Any:
        if user_prefix == "":
            return {"memories": self.count_memories(), "summaries": 0, "all": self.clear()}
        return super().delete_users(user_prefix=user_prefix)


@on_store("R21-deletions-end-while-others-write", waits=True)
class DeletesUntilThereIsNothing(InMemoryStore):
    async def delete_all(self, kind: Kind, scope: Scope) -> int:
        deleted = 0
        while found := await super().delete_all(kind, scope):
            deleted += found
            for _ in range(200):  # What round trips take, in which others write.
                if not any(self._within(kind, scope)):
                    time.sleep(0.001)  # noqa: ASYNC251
        return deleted
