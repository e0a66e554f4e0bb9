"""R15: what deletions of users take, and what a receipt says."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from itertools import count
from threading import Event, Thread
from typing import Any

from buddy.memory.errors import InvalidMemoryError
from buddy.memory.storage.record import Kind
from buddy.memory.storage.users import NOBODY
from buddy.memory.testing.assertions import raises
from buddy.memory.testing.backend_under_test import Rows, Trial
from buddy.memory.testing.check import check, check_rows

OTHERS = ("bob", "", None, "ann2", "an", "Ann")


@check("R15")
def a_receipt_says_what_is_gone(trial: Trial) -> None:
    """forget_user deletes the rows of one user, looks for them, and names user, time and counts."""
    rows, db = trial.memories, trial.db
    start = datetime.now(timezone.utc)
    for user in ("ann", *OTHERS):
        rows.upsert_many([rows.new(id, {"secret": "s3cret text"}, user) for id in ("a", "b")])
    receipt = db.forget_user("ann")
    assert (receipt.user_id, receipt.memories_erased, receipt.legacy_erased) == ("ann", 2, 0)
    assert (receipt.verified, receipt.remaining, receipt.reason) == (True, 0, "")
    assert receipt.summaries_erased in (0, None)
    assert receipt.erased_at.utcoffset() == timedelta(0)
    assert start - timedelta(seconds=1) <= receipt.erased_at <= datetime.now(timezone.utc)
    shown = json.dumps(receipt.to_dict())
    assert "s3cret" not in shown
    assert json.loads(shown)["verified"] is True
    assert rows.read("ann") == []
    assert rows.count() == 2 * len(OTHERS)
    again = db.forget_user("ann")
    assert (again.memories_erased, again.verified) == (0, True)
    assert db.forget_user(NOBODY).user_id is None
    assert [row.user_id for row in rows.read(sort="asc")] == [
        user for user in OTHERS if user is not None for _ in "ab"
    ]


@check("R15")
def a_receipt_counts_summaries(trial: Trial) -> None:
    """forget_user deletes the summaries of the user too, and counts them apart."""
    for kind in Kind:
        rows = Rows(trial, kind)
        rows.upsert_many(rows.new(id, user_id=user) for user in ("ann", *OTHERS) for id in "ab")
    trial.summaries.add("c")
    receipt = trial.db.forget_user("ann")
    assert (receipt.memories_erased, receipt.summaries_erased, receipt.verified) == (2, 3, True)
    assert trial.summaries.read("ann") == []
    assert trial.summaries.count() == trial.memories.count() == 2 * len(OTHERS)
    assert trial.db.forget_user("no such user").verified is True


@check("R15")
def a_receipt_of_a_store_that_was_never_made(trial: Trial) -> None:
    """forget_user does not make a store, and finds nothing there."""
    receipt = trial.db.forget_user("ann")
    assert (receipt.memories_erased, receipt.remaining, receipt.verified) == (0, 0, True)
    assert trial.db.table_exists() is False


@check("R15", "corrupt")
def damaged_rows_are_forgotten_too(trial: Trial) -> None:
    """forget_user takes rows that cannot be decoded."""
    trial.memories.add("a")
    trial.memories.add("b")
    assert trial.subject.corrupt is not None
    trial.subject.corrupt("a")
    receipt = trial.db.forget_user("ann")
    assert (receipt.memories_erased, receipt.remaining, receipt.verified) == (2, 0, True)


@check_rows("R15")
def delete_users_takes_all_under_a_prefix(rows: Rows) -> None:
    """delete_users deletes the rows of the users that begin with its prefix, and no other's."""
    db, name = rows.trial.db, "memories" if rows.kind is Kind.MEMORY else "summaries"
    users = ("a", "ab", "a\U0010ffff", "b", "A", "", None, "%", "%x", "*", "\x01", "\x01x")
    rows.upsert_many([rows.new(f"{n}", user_id=u) for n, u in enumerate(users)])
    rows.upsert_many([rows.new("same", user_id=user) for user in users])
    left = list(users)
    for prefix in ("no such user", "a", "%", "*", "\x01"):
        taken = [user for user in left if user is not None and user.startswith(prefix)]
        left = [user for user in left if user not in taken]
        deleted = {"memories": 0, "summaries": 0, name: 2 * len(taken)}
        assert db.delete_users(user_prefix=prefix) == deleted, prefix
        found = [row.user_id for row in rows.read() if row.id == "same"]
        assert sorted(found, key=repr) == sorted(left, key=repr), prefix
        assert rows.count() == 2 * len(left), prefix


@check("R15")
def delete_users_takes_both_kinds(trial: Trial) -> None:
    """delete_users deletes memories and summaries, and counts them apart."""
    for kind in Kind:
        rows = Rows(trial, kind)
        rows.upsert_many(rows.new(id, user_id=user) for user in ("a", "ab", "b") for id in "xy")
    trial.summaries.add("z", user_id="ab")
    assert trial.db.delete_users(user_prefix="a") == {"memories": 4, "summaries": 5}
    assert [row.user_id for row in trial.summaries.read()] == ["b", "b"]
    assert trial.db.list_users() == ["b"]


@check("R15")
def delete_users_needs_a_prefix(trial: Trial) -> None:
    """An empty prefix, or none, is refused, and nothing is deleted."""
    trial.memories.add("a")
    for prefix in ("", None, 7, "\x00", NOBODY):
        raises(InvalidMemoryError, trial.db.delete_users, user_prefix=prefix)
    assert trial.memories.ids() == ["a"]


@check("R15")
def delete_user_takes_any_number_of_rows(trial: Trial) -> None:
    """delete_user deletes all of many rows, and counts them."""
    rows = trial.memories
    rows.upsert_many(rows.new(f"{n}") for n in range(1100))
    assert trial.db.delete_user("ann") == {"memories": 1100, "summaries": 0}
    assert rows.read() == []


@check("R15")
def delete_user_takes_everything_of_one_user(trial: Trial) -> None:
    """delete_user deletes the memories and summaries of one user, and says how many."""
    for user in ("ann", *OTHERS):
        trial.memories.add("m1", user_id=user)
        trial.memories.add("m2", user_id=user)
        trial.summaries.add("s", user_id=user)
    assert trial.db.delete_user("ann") == {"memories": 2, "summaries": 1}
    assert trial.db.delete_user("") == {"memories": 2, "summaries": 1}
    assert trial.db.delete_user("ann") == {"memories": 0, "summaries": 0}
    left = [user for user in OTHERS if user != ""]
    assert [row.user_id for row in trial.memories.read(sort="asc")] == [
        user for user in left for _ in range(2)
    ]
    assert trial.summaries.count() == len(left)


@check("R15")
def clear_empties_the_store(trial: Trial) -> None:
    """clear() deletes all memories and summaries of all users, and keeps the tables."""
    for kind in Kind:
        rows = Rows(trial, kind)
        rows.upsert_many(rows.new(str(n), user_id=u) for n, u in enumerate(("a", "b", "", None)))
    assert trial.db.clear() is True
    assert trial.db.table_exists() is True
    for kind in Kind:
        assert Rows(trial, kind).read() == []
        assert Rows(trial, kind).get("1") is None


@check("R21", "waits")
def deletions_end_while_others_write(trial: Trial) -> None:
    """clear, delete_user, delete_users and forget_user end while others go on writing."""
    rows, db, stop = trial.memories, trial.db, Event()
    rows.upsert_many(rows.new(f"{n}") for n in range(50))

    def write(writer: int) -> None:
        for n in count():
            if stop.is_set() or n == 20_000:
                return
            rows.add(f"{writer}-{n}")

    writers = [Thread(target=write, args=(n,), daemon=True) for n in range(2)]
    for writer in writers:
        writer.start()
    calls: tuple[Any, ...] = (
        db.clear,
        lambda: db.delete_user("ann"),
        lambda: db.delete_users(user_prefix="an"),
        lambda: db.forget_user("ann"),
    )
    try:
        for call in calls:
            call()
            assert all(writer.is_alive() for writer in writers), "ended with the last writer"
    finally:
        stop.set()
        for writer in writers:
            writer.join()
