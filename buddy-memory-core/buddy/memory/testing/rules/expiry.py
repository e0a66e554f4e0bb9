"""R14: the end of rows."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from time import monotonic, sleep
from typing import Any

from buddy.memory.errors import ConfigError, ConflictError, InvalidMemoryError
from buddy.memory.storage.expiry import KEEP, NEVER
from buddy.memory.storage.record import Kind, Record, Write
from buddy.memory.storage.users import NOBODY
from buddy.memory.testing.assertions import raises
from buddy.memory.testing.backend_under_test import Rows, Trial
from buddy.memory.testing.check import check, check_rows

SHORT = 0.05
"""Seconds that a row lives which a check wants to see gone."""

PATIENCE = 10.0
LONG = 3600.0


def add_ended(rows: Rows, *ids: str, user_id: Any = "ann") -> None:
    """Store rows that have ended when this returns."""
    rows.upsert_many([rows.new(id, user_id=user_id) for id in ids], ttl=SHORT)
    given_up = monotonic() + PATIENCE
    while any(rows.get_many(ids, user_id=user_id)):
        assert monotonic() < given_up, "rows are there long after their end"
        sleep(SHORT / 5)


def is_about(end: datetime | None, seconds: float) -> bool:
    """Tell whether an end is so far from now, give or take a clock's error and a slow machine."""
    now = datetime.now(timezone.utc)
    return end is not None and abs((end - now).total_seconds() - seconds) < 60


@check_rows("R14")
def a_row_that_has_ended_is_in_no_read(rows: Rows) -> None:
    """A row that has ended is in no read, no count and no list of users."""
    add_ended(rows, "gone", user_id="bob")
    add_ended(rows, "gone", user_id="a")
    add_ended(rows, "gone")
    rows.add("stays")
    assert rows.get("gone", user_id="ann") is None
    assert rows.get("gone") is None
    assert rows.get_many(["gone", "stays"], user_id="ann")[0] is None
    assert rows.get_many(["gone"]) == [None]
    assert rows.ids() == rows.ids("ann") == rows.ids(user_prefix="a") == ["stays"]
    assert rows.ids("bob") == rows.ids(user_prefix="b") == []
    assert [row.id for row in rows.iter()] == ["stays"]
    assert [row.id for row in rows.page(limit=5).rows] == ["stays"]
    assert [row.id for row in rows.page("ann", limit=1, sort="asc").rows] == ["stays"]
    counts = rows.count(), rows.count("ann"), rows.count("bob"), rows.count(user_prefix="b")
    assert counts == (1, 1, 0, 0)
    assert rows.db.list_users() == ["ann"]
    assert rows.db.list_users(limit=1) == rows.db.list_users(prefix="a", limit=1) == ["ann"]


@check("R14")
def a_row_that_has_ended_is_not_found(trial: Trial) -> None:
    """A search, also one that has seen the row before, leaves it out when it has ended."""
    rows = trial.memories
    rows.touch([], user_id="ann", ttl=LONG)  # Not supported by some.
    rows.add("stays", {"memory": "likes tea"})
    rows.add("ends", {"memory": "likes green tea"}, ttl=LONG)

    def found() -> list[str]:
        results = trial.db.search_memories("tea", user_id="ann")
        return sorted(result.row.id for result in results)

    assert found() == ["ends", "stays"]
    mark = trial.db.change_mark("ann")
    assert rows.touch(["ends"], user_id="ann", ttl=SHORT) == 1
    given_up = monotonic() + PATIENCE
    while rows.get("ends", user_id="ann") is not None:
        assert monotonic() < given_up, "the row is there long after its end"
        sleep(SHORT / 5)
    assert found() == ["stays"]
    assert mark is None or trial.db.change_mark("ann") != mark
    assert trial.db.memory_exists(rows.new("ends")) is False


@check_rows("R14")
def a_write_over_it_is_a_first_write(rows: Rows) -> None:
    """A write over a row that has ended has version 1, its own times and the newest place."""
    add_ended(rows, "a", "b", "c")
    rows.add("other")
    first = rows.add("a", {"n": 1}, if_version=0)
    conflict = raises(ConflictError, rows.add, "b", {"n": 1}, if_version=1)
    assert (conflict.expected, conflict.actual) == (1, 0)
    second = rows.add("b", {"n": 2})
    assert (first.version, second.version) == (1, 1)
    assert first.expires_at is second.expires_at is None
    assert first.created_at == rows.updated(first)
    assert rows.ids("ann") == ["b", "a", "other"]
    assert rows.get("a", user_id="ann") == first


@check_rows("R14")
def bulk_writes_over_them_are_first_writes(rows: Rows) -> None:
    """Rows of a bulk write that take the place of ended ones are new, in the order of the call."""
    add_ended(rows, "b", "d")
    rows.add("c")
    stored = rows.upsert_many([rows.new(id, {"n": 2}) for id in ("b", "a", "c", "d", "e")])
    assert [row.version for row in stored] == [1, 1, 2, 1, 1]
    assert rows.ids("ann", sort="asc") == ["c", "b", "a", "d", "e"]


@check_rows("R14")
def an_end_that_is_over_is_not_kept(rows: Rows) -> None:
    """KEEP over a row that has ended is the store's default, single and in bulk: no end here."""
    add_ended(rows, "a", "b")
    one = rows.add("a", {"n": 2}, ttl=KEEP)
    (other,) = rows.upsert_many([rows.new("b", {"n": 2})], ttl=KEEP)
    for row in (one, other):
        assert (row.version, row.expires_at) == (1, None)
        assert rows.get(row.id, user_id="ann") == row


@check_rows("R14")
def a_ttl_counts_from_the_write_on(rows: Rows) -> None:
    """Rows show the end that a ttl gives them, single and in bulk, new and written again."""
    ids = [f"{n}" for n in range(203)]
    for version in (1, 2):
        one = rows.add("one", ttl=LONG)
        many = rows.upsert_many(map(rows.new, ids), ttl=timedelta(seconds=2 * LONG))
        assert is_about(one.expires_at, LONG)
        assert all(is_about(row.expires_at, 2 * LONG) for row in many)
        assert rows.get("one", user_id="ann") == one
        assert rows.get_many(ids, user_id="ann") == many
        assert one.version == version


@check_rows("R14")
def keep_and_never_are_kept_and_never(rows: Rows) -> None:
    """KEEP leaves the end of a row as it is, NEVER takes it away, and so does a write without."""
    end = rows.add("a", ttl=LONG).expires_at
    assert rows.add("a", {"n": 2}, ttl=KEEP).expires_at == end
    assert rows.upsert_many([rows.new("a", {"n": 3})], ttl=KEEP)[0].expires_at == end
    assert rows.add("a", {"n": 4}, ttl=NEVER).expires_at is None
    assert rows.add("a", {"n": 5}, ttl=KEEP).expires_at is None
    assert rows.add("new", ttl=KEEP).expires_at is None
    rows.add("b", ttl=LONG)
    assert rows.add("b", {"n": 2}).expires_at is None
    assert rows.get("a", user_id="ann").version == 5


@check_rows("R14")
def keep_comes_before_the_end_of_a_store(rows: Rows) -> None:
    """A row without an end that is written with KEEP gets none from the default of its store."""
    store, now = rows.trial.store, datetime.now(timezone.utc)

    def keeping(id: str) -> Write:
        row = Record(rows.kind, "ann", id, {}, now, now)
        return Write(row, now, ttl=timedelta(seconds=LONG), keep=True)

    rows.upsert_many(map(rows.new, "abc"))
    store.put(keeping("a"))
    store.put_many([keeping("b"), keeping("new"), keeping("c")])
    ends = [row.expires_at for row in rows.get_many(["a", "b", "c"], user_id="ann")]
    assert ends == [None, None, None]
    assert is_about(rows.get("new", user_id="ann").expires_at, LONG)


@check_rows("R14", "expiring")
def a_store_may_end_its_rows(rows: Rows) -> None:
    """``expire`` is the end of every row that says nothing else, also of those written again."""
    assert rows.trial.subject.expiring is not None
    ending = rows.trial.rows(rows.trial.open(rows.trial.subject.expiring), rows.kind)
    rows.add("never")
    assert ending.add("never", ttl=KEEP).expires_at is None
    assert ending.add("for good", ttl=NEVER).expires_at is None
    assert is_about(ending.add("a").expires_at, LONG)
    assert is_about(ending.add("later", ttl=2 * LONG).expires_at, 2 * LONG)
    many = ending.upsert_many(map(ending.new, ("a", "b", "never")))
    assert all(is_about(row.expires_at, LONG) for row in many)
    assert rows.get_many(["a", "b", "never"], user_id="ann") == many


@check_rows("R14")
def what_is_read_changed_and_written_keeps_its_end(rows: Rows) -> None:
    """A row that was read and is written again ends when it did before."""
    rows.add("a", ttl=LONG)
    row = rows.get("a", user_id="ann")
    end = row.expires_at
    again = rows.upsert(row, if_version=1)
    assert (again.version, again.expires_at) == (2, end)
    assert rows.upsert_many([again])[0].expires_at == end
    row.expires_at = datetime(2001, 1, 1, tzinfo=timezone.utc)
    raises(InvalidMemoryError, rows.upsert, row)
    assert rows.get("a", user_id="ann").version == 3


@check_rows("R14")
def an_ended_row_blocks_no_other(rows: Rows) -> None:
    """Ended rows that are still stored keep no row from being restored, nor found by its id."""
    store, now = rows.trial.store, datetime.now(timezone.utc)
    made, ended = now - timedelta(days=2), now - timedelta(days=1)

    def restored(user: str, id: str, end: datetime | None) -> Write:
        return Write(Record(rows.kind, user, id, {"end": end is None}, made, made, 7, end), now)

    store.restore([restored(user, "same", ended) for user in ("ann", "bob", "cid")])
    rows.add("same", user_id="zoe")
    assert rows.get("same").user_id == rows.get_many(["same"])[0].user_id == "zoe"
    assert rows.delete("same") is True
    again = [restored(user, "same", None) for user in ("ann", "bob")]
    assert list(store.restore(again)) == [write.record.key for write in again]
    stored = rows.get("same", user_id="ann")
    assert (stored.version, rows.payload(stored)) == (7, {"end": True})
    assert store.restore(again) == []


@check_rows("R14")
def a_touch_moves_the_end_alone(rows: Rows) -> None:
    """A touch changes no version and no time, and does nothing to rows that are not there."""
    before = rows.add("a", {"n": 1})
    add_ended(rows, "gone")
    rows.add("a", user_id="bob")
    mark = rows.db.change_mark("ann")
    assert rows.touch(["a", "gone", "never was"], user_id="ann", ttl=LONG) == 1
    assert mark is None or rows.db.change_mark("ann") != mark
    after = rows.get("a", user_id="ann")
    assert is_about(after.expires_at, LONG)
    after.expires_at = None
    assert after == before
    assert rows.get("gone", user_id="ann") is None
    assert rows.get("a", user_id="bob").expires_at is None
    assert rows.touch(["a"], user_id="ann", ttl=NEVER) == 1
    assert rows.get("a", user_id="ann") == before
    assert rows.touch([], user_id="ann", ttl=LONG) == 0
    rows.add("b", user_id=None)
    assert rows.touch(["b"], user_id=NOBODY, ttl=LONG) == 1
    assert is_about(rows.get("b", user_id=NOBODY).expires_at, LONG)
    for ttl in (None, KEEP):
        raises(ConfigError, rows.touch, ["a"], user_id="ann", ttl=ttl)


@check_rows("R14")
def a_touch_undoes_no_write(rows: Rows) -> None:
    """A reader that moves the end of a row beside a writer loses none of its updates."""
    rows.add("a", {"n": 0})
    rows.touch([], user_id="ann", ttl=LONG)

    def touch() -> None:
        for _ in range(10):
            assert rows.touch(["a"], user_id="ann", ttl=LONG) == 1

    with ThreadPoolExecutor(1) as threads:
        touching = threads.submit(touch)
        for n in range(1, 11):
            assert rows.add("a", {"n": n}, ttl=KEEP).version == n + 1
        touching.result()
    touch()
    stored = rows.get("a", user_id="ann")
    assert (stored.version, rows.payload(stored)) == (11, {"n": 10})
    assert is_about(stored.expires_at, LONG)


@check_rows("R14")
def a_page_fills_with_living_rows(rows: Rows) -> None:
    """Rows that have ended take no places in a page, however many they are."""
    rows.upsert_many([rows.new(f"{n}") for n in range(5)])
    add_ended(rows, *(f"gone {n}" for n in range(60)))
    for user in (None, "ann"):
        assert rows.ids(user, 3) == ["4", "3", "2"]
        assert rows.ids(user, 9, "asc") == ["0", "1", "2", "3", "4"]
        page = rows.page(user, limit=4)
        assert [row.id for row in page.rows] == ["4", "3", "2", "1"]
        assert [row.id for row in rows.page(user, limit=4, after=page.next).rows] == ["0"]


@check("R14")
def a_sweep_removes_what_has_ended(trial: Trial) -> None:
    """A sweep removes ended rows of both kinds, tells how many, and leaves all others."""
    for kind in Kind:
        rows = Rows(trial, kind)
        rows.add("stays")
        rows.add("later", ttl=LONG)
        add_ended(rows, *(f"{n}" for n in range(12)))
        add_ended(rows, "of nobody", user_id=None)
    # Some may have been removed by writes, or by the backend itself.
    assert 0 <= trial.db.sweep() <= 26
    assert trial.db.sweep() == 0
    for kind in Kind:
        assert Rows(trial, kind).ids() == ["later", "stays"]


@check_rows("R14")
def a_sweep_leaves_nothing_that_has_ended(rows: Rows) -> None:
    """What has ended is not stored any more after a sweep, of either kind and of all users."""
    store, now = rows.trial.store, datetime.now(timezone.utc)
    made, ended = now - timedelta(days=2), now - timedelta(days=1)
    users = ("ann", "", None, *(f"user {n}" for n in range(9)))
    store.restore(
        [
            Write(Record(rows.kind, user, id, {}, made, made, 1, ended), now)
            for user in users
            for id in "abc"
        ]
    )
    rows.add("stays")
    rows.trial.db.sweep()
    left = store.ended(rows.kind)
    assert left is None or left.rows == 0
    assert rows.ids() == ["stays"]


@check_rows("R14")
def deletions_do_not_count_it(rows: Rows) -> None:
    """Deletions remove rows that have ended and count those that have not."""
    add_ended(rows, "gone", "gone too", "gone as well")
    rows.add("a")
    conflict = raises(ConflictError, rows.delete, "gone as well", user_id="ann", if_version=1)
    assert (conflict.expected, conflict.actual) == (1, 0)
    assert rows.delete("gone", user_id="ann") is False
    assert rows.delete("gone", user_id="ann", if_version=0) is False
    assert rows.delete_many(["gone too", "a"], user_id="ann") == 1
    add_ended(rows, "gone")
    rows.add("b", user_id="bob")
    rows.add("c")
    one = "summaries" if rows.kind is Kind.SUMMARY else "memories"
    assert rows.db.delete_user("ann")[one] == 1
    add_ended(rows, "gone", user_id="bob")
    assert rows.db.clear() is True
    assert rows.db.sweep() == 0
    assert rows.count() == 0


@check_rows("R14")
def a_user_is_forgotten_with_it(rows: Rows) -> None:
    """Forgetting a user removes rows that have ended as well, and verifies it."""
    add_ended(rows, "gone")
    receipt = rows.db.forget_user("ann")
    assert receipt.verified
    assert rows.db.sweep() == 0


@check_rows("R14")
def a_wrong_ttl_is_refused(rows: Rows) -> None:
    """A ttl that is no positive duration, or leads beyond the calendar, stores nothing."""
    rows.touch([], user_id="ann", ttl=LONG)  # Not supported by some.
    wrong = (0, -1, -0.5, math.nan, math.inf, True, "5", 1e300, 10**12, timedelta(0), object())
    for ttl in wrong:
        raises(ConfigError, rows.add, "a", ttl=ttl)
        raises(ConfigError, rows.upsert_many, [rows.new("a")], ttl=ttl)
        raises(ConfigError, rows.touch, ["a"], user_id="ann", ttl=ttl)
    assert rows.read() == []
