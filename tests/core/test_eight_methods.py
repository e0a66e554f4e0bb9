"""The kit on backends of eight methods: what they owe they keep, the rest is "not supported"."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from buddy.memory.errors import UnsupportedError
from buddy.memory.storage.users import NOBODY
from buddy.memory.testing import CHECKS, BackendUnderTest, Check, NotVerified
from buddy.memory.v2.db.schema import MemoryRow
from buddy.memory.v2.db.threaded import ThreadedMemoryDb
from tests.core.eight_methods import (
    TABLES,
    AsyncEightMethodMemoryDb,
    EightMethodMemoryDb,
    LeastMemoryDb,
)

NOT_SUPPORTED = {
    "R1-a-store-finds-two-rows-of-an-id-at-most-memory",
    "R1-random-calls-are-answered-as-by-a-dictionary-memory",
    "R1-long-histories-are-answered-as-by-a-dictionary",
    "R1-memories-and-summaries-have-ids-of-their-own",
    "R3-a-cursor-belongs-to-its-kind",
    "R5-users-of-summaries-are-listed-too",
    "R6-a-restored-row-is-stored-or-left-alone-memory",
    "R10-close-is-idempotent-and-final",
    "R10-a-deep-copy-shares-the-store",
    "R10-one-object-serves-many-threads",
    "R15-any-number-of-rows-is-deleted",
    "R15-clear-empties-the-store",
    "R15-delete-user-takes-everything-of-one-user",
    "R15-delete-users-takes-both-kinds",
    "R15-a-receipt-counts-summaries",
}
"""What asks for summaries, a Store or something to close. Marks and ends are not among the eight
either."""

_numbers = count()


def _threaded(name: str) -> ThreadedMemoryDb:
    return ThreadedMemoryDb(EightMethodMemoryDb(name))


@pytest.mark.parametrize("cls", [EightMethodMemoryDb, AsyncEightMethodMemoryDb, _threaded])
@pytest.mark.parametrize("check", CHECKS, ids=[check.id for check in CHECKS])
def test_a_rule(check: Check, cls: Any) -> None:
    """A check passes, or is about what eight methods cannot have."""
    name = f"eight {next(_numbers)}"
    subject = BackendUnderTest(
        open=lambda: cls(name), order_without_clocks=True, order_across_users=True, waits=False
    )
    try:
        check.run(subject)
        state = "passed"
    except UnsupportedError:
        state = "not supported"
    except NotVerified:
        return
    marks = check.rule == "R18" and check.id != "R18-a-search-sees-what-was-acknowledged"
    lacking = (
        marks or check.rule == "R14" or check.id.endswith("-summary") or check.id in NOT_SUPPORTED
    )
    if check.only and (check.only == "async") == (cls is EightMethodMemoryDb):
        lacking = False
    assert state == ("not supported" if lacking else "passed")


def test_what_need_not_be_taken_is_not_supported() -> None:
    """if_version, prefixes, and the user_id and the answer of a deletion may be missing."""
    states = set()
    for check in CHECKS:
        if check.rule == "R13" and check.id.endswith("-memory"):
            name = f"least {next(_numbers)}"
            with pytest.raises(UnsupportedError):
                check.run(BackendUnderTest(open=lambda name=name: LeastMemoryDb(name)))
            states.add(check.id)
    assert states


@pytest.mark.parametrize(
    "call",
    [
        lambda db: db.delete_user("ann"),
        lambda db: db.delete_users(user_prefix="a"),
        lambda db: db.forget_user("ann"),
        lambda db: db.delete_memories(["a"]),
        lambda db: db.delete_memories(["a"], user_id=NOBODY),
    ],
)
def test_rows_are_never_deleted_by_id_alone(call: Any) -> None:
    """Where delete_memory takes no user, what needs one is refused, and nothing is deleted."""
    db = LeastMemoryDb(f"least {next(_numbers)}")
    for user in ("ann", "bob", None):
        db.upsert_memory(MemoryRow({}, "a", user))
    db.upsert_memory(MemoryRow({}, "b", "ann"))
    with pytest.raises(UnsupportedError, match="user_id="):
        call(db)
    assert db.count_memories() == 4


def test_deletions_name_the_user() -> None:
    """The deletions that follow from the eight methods pass the user to each call, also nobody."""
    calls = []

    class Notes(EightMethodMemoryDb):
        def delete_memory(
            self, memory_id: str, *, user_id: Any = None, if_version: Any = None
        ) -> bool:
            calls.append((memory_id, user_id))
            return super().delete_memory(memory_id, user_id=user_id)

    db = Notes(f"notes {next(_numbers)}")
    for user in ("ann", "anna", None):
        db.upsert_memory(MemoryRow({}, "a", user))
        db.upsert_memory(MemoryRow({}, f"of {user}", user))
    assert db.delete_memories(["of anna"]) == 1
    assert db.delete_user(NOBODY) == {"memories": 2, "summaries": 0}
    assert db.delete_users(user_prefix="ann") == {"memories": 3, "summaries": 0}
    assert all(user is NOBODY or user in ("ann", "anna") for _, user in calls)
    assert len(calls) == 6
    assert TABLES[db.table_name] == {}


def test_a_receipt_without_summaries() -> None:
    """forget_user of eight methods says that summaries are not supported, and is verified."""
    db = EightMethodMemoryDb(f"receipt {next(_numbers)}")
    db.upsert_memory(MemoryRow({}, "a", "ann"))
    receipt = db.forget_user("ann")
    assert receipt.verified
    assert receipt.to_dict()["summaries_erased"] == "not supported"
