"""forget_user: what its receipt says when something goes wrong."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Any

import pytest

from buddy.memory.errors import UnavailableError
from buddy.memory.hookspecs import hookimpl
from buddy.memory.receipt import Receipt
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.record import Corrupt, Kind, Record, Scope, Write
from buddy.memory.storage.users import NOBODY
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from buddy.memory.v2.db.store_backed import AsyncStoreBackedMemoryDb, StoreBackedMemoryDb
from tests.core.sample_plugins import registered


class Fails(InMemoryStore):
    """Fails in the call that ``at`` names, with a password in the message."""

    at = ""

    def _fail(self, name: str) -> None:
        if self.at == name:
            raise UnavailableError("Fails", "no answer from\n db://me:hunter2@host/db")

    async def delete_all(self, kind: Kind, scope: Scope) -> int:
        self._fail(f"delete {kind.value}")
        return await super().delete_all(kind, scope)

    async def delete_legacy(self, user_id: str | None) -> int:
        self._fail("delete legacy")
        return 3

    async def page(self, kind: Kind, scope: Scope, **how: Any) -> list[Record | Corrupt]:
        self._fail("page")
        return await super().page(kind, scope, **how)


class Stops(InMemoryStore):
    """Deletes one row and then fails, as a deletion in several steps may; ``and_count`` also fails
    to count from then on."""

    def __init__(self, *, and_count: bool) -> None:
        super().__init__()
        self.and_count, self.has_failed = and_count, False

    async def delete_all(self, kind: Kind, scope: Scope) -> int:
        (first, *_) = await self.page(kind, scope, newest_first=True, after=None, limit=1)
        await self.delete(kind, first.user_id, first.id, None)
        self.has_failed = True
        raise UnavailableError("Stops", "in the middle")

    async def count(self, kind: Kind, scope: Scope) -> int:
        if self.has_failed and self.and_count:
            raise UnavailableError("Stops", "still")
        return await super().count(kind, scope)


def _filled(store: InMemoryStore) -> StoreBackedMemoryDb:
    db = StoreBackedMemoryDb(store, {"table_name": "notes", "password": "hunter2"})
    db.upsert_memories([MemoryRow({"text": "s3cret"}, id, "ann") for id in "ab"])
    db.upsert_summary(SummaryRow({}, "s", "ann"))
    return db


@pytest.mark.parametrize(
    ("at", "memories", "summaries", "legacy"),
    [("delete summary", 2, 0, 0), ("delete legacy", 2, 1, 0), ("page", 2, 1, 3)],
)
def test_a_failure_after_a_deletion(at: str, memories: int, summaries: int, legacy: int) -> None:
    """After something was deleted nothing is raised: the receipt says what is gone, and why it is
    not verified, without secrets."""
    store = Fails()
    db = _filled(store)
    store.at = at
    receipt = db.forget_user("ann")
    assert not receipt.verified
    assert (receipt.memories_erased, receipt.summaries_erased) == (memories, summaries)
    assert (receipt.legacy_erased, receipt.remaining) == (legacy, None)
    assert "no answer from db://" in receipt.reason
    assert "hunter2" not in json.dumps(receipt.to_dict())
    assert "hunter2" not in repr(receipt)


@pytest.mark.parametrize(("and_count", "erased"), [(False, 1), (True, None)])
def test_a_deletion_that_stops_in_the_middle(and_count: bool, erased: int | None) -> None:
    """A deletion that fails between two of its steps gives a receipt: with what is gone, where that
    can be told."""
    receipt = _filled(Stops(and_count=and_count)).forget_user("ann")
    assert (receipt.verified, receipt.memories_erased) == (False, erased)
    assert "in the middle" in receipt.reason
    assert receipt.to_dict()["memories_erased"] == erased


def test_a_failure_before_a_deletion() -> None:
    """Where nothing was deleted the error is raised, and the call can be repeated."""
    store = Fails()
    db = _filled(store)
    store.at = "delete memory"
    with pytest.raises(UnavailableError):
        db.forget_user("ann")
    store.at = ""
    assert db.forget_user("ann").verified


def test_rows_that_are_written_meanwhile() -> None:
    """A row that is there afterwards is counted, and the receipt is not verified."""

    class Writes(InMemoryStore):
        async def delete_all(self, kind: Kind, scope: Scope) -> int:
            deleted = await super().delete_all(kind, scope)
            if kind is Kind.MEMORY:
                now = datetime.now(timezone.utc)
                await self.put(Write(Record(kind, "ann", "new", {}, now, now), now))
            return deleted

    receipt = _filled(Writes()).forget_user("ann")
    assert (receipt.memories_erased, receipt.remaining, receipt.verified) == (2, 1, False)
    assert "written meanwhile" in receipt.reason


def test_a_count_that_has_lost_a_row() -> None:
    """The rows are read as well: a count from an index that lost one does not verify."""

    class Miscounts(InMemoryStore):
        async def delete_all(self, kind: Kind, scope: Scope) -> int:
            return 0 if kind is Kind.SUMMARY else await super().delete_all(kind, scope)

        async def count(self, kind: Kind, scope: Scope) -> int:
            return 0

    receipt = _filled(Miscounts()).forget_user("ann")
    assert (receipt.remaining, receipt.verified) == (1, False)


class Legacy(InMemoryStore):
    """Keeps rows of older software beside its own."""

    def __init__(self, deletes: bool) -> None:
        super().__init__()
        self.deletes, self.left = deletes, ["ann", "bob", "ann"]

    async def legacy_records(self) -> AsyncIterator[list[Record | Corrupt]]:
        yield [Corrupt(user, str(n), n, "old") for n, user in enumerate(self.left)]

    async def delete_legacy(self, user_id: str | None) -> int:
        found = self.left.count(user_id or "")
        if self.deletes:
            self.left = [user for user in self.left if user != user_id]
        return found


@pytest.mark.parametrize("deletes", [True, False])
def test_rows_of_older_software(deletes: bool) -> None:
    """Rows that older software left of the user are erased, counted and looked for."""
    store = Legacy(deletes)
    receipt = _filled(store).forget_user("ann")
    assert (receipt.legacy_erased, receipt.verified) == (2, deletes)
    assert receipt.remaining == (0 if deletes else 2)
    assert "bob" in store.left


def test_what_a_receipt_shows() -> None:
    """A receipt names user, store, time and counts as JSON, and no payload."""
    db = _filled(InMemoryStore())
    receipt = asyncio.run(AsyncStoreBackedMemoryDb(db._rules.store, {"a": 1}).forget_user("ann"))
    shown: dict[str, Any] = json.loads(json.dumps(receipt.to_dict()))
    assert shown == {
        "user_id": "ann",
        "store": "name=AsyncStoreBackedMemoryDb a=1",
        "erased_at": receipt.erased_at.isoformat(),
        "memories_erased": 2,
        "summaries_erased": 1,
        "legacy_erased": 0,
        "remaining": 0,
        "reason": "",
        "versions": {"buddy-memory-core": version("buddy-memory-core")},
        "verified": True,
        "sha256": receipt.to_dict()["sha256"],
    }
    digest = shown.pop("sha256")
    text = json.dumps(shown, sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == digest
    nobody = db.forget_user(NOBODY)
    assert (nobody.user_id, nobody.verified) == (None, True)
    assert "table_name=notes" in nobody.store
    assert "hunter2" not in nobody.store


def test_a_receipt_is_verified_by_its_facts() -> None:
    """A receipt is verified when nothing remains and no reason speaks against it."""
    now = datetime.now(timezone.utc)
    for remaining, reason, verified in ((0, "", True), (1, "", False), (None, "", False)):
        assert Receipt("ann", "", now, 1, None, 0, remaining, reason).verified is verified
    assert not Receipt("ann", "", now, 1, None, 0, 0, "no answer").verified


def test_plugins_are_shown_the_receipt(caplog: pytest.LogCaptureFixture) -> None:
    """Each plugin is shown the receipt once, also of what failed; its own error changes nothing."""
    shown: list[Receipt] = []

    class Keeps:
        @hookimpl
        def buddy_memory_forgotten(self, receipt: Receipt) -> None:
            shown.append(receipt)

    class Stumbles:
        @hookimpl
        def buddy_memory_forgotten(self) -> None:
            raise RuntimeError

    store = Fails()
    with registered(Keeps(), Stumbles()):
        db = _filled(store)
        store.at = "delete summary"
        assert shown == [db.forget_user("ann")]
    assert not shown[0].verified
    assert "failed in buddy_memory_forgotten" in caplog.text
