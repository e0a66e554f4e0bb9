"""R18: change marks, and the stamps that they are made of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from buddy.memory.errors import UnsupportedError
from buddy.memory.storage.record import Kind, Record, Scope, Write
from buddy.memory.storage.users import NOBODY
from buddy.memory.testing.backend_under_test import Rows, Trial
from buddy.memory.testing.check import check, check_rows


def mark_of(rows: Rows, user_id: Any = "ann") -> str:
    """Return the change mark of a user. Raises UnsupportedError where there are none."""
    mark = rows.trial.db.change_mark(user_id)
    if mark is None:
        raise UnsupportedError(type(rows.trial.db).__name__, "change marks")
    assert type(mark) is str
    return mark


@check_rows("R18")
def a_mark_differs_when_rows_differ(rows: Rows) -> None:
    """After every change of a user's rows, also back to what they look like, the mark is new."""
    db = rows.trial.db
    rows.add("old", user_id="ann")

    def insert_and_delete() -> None:
        rows.add("passing")
        rows.delete("passing")
        rows.add("passing")

    changes: tuple[Callable[[], Any], ...] = (
        lambda: rows.add("a", {"n": 1}),
        lambda: rows.add("a", {"n": 1}),
        lambda: rows.upsert_many([rows.new("a", {"n": 1})]),
        lambda: rows.upsert_many([rows.new("b"), rows.new("c")]),
        lambda: rows.delete("a", user_id="ann"),
        lambda: rows.add("a", {"n": 1}),
        insert_and_delete,
        lambda: (rows.delete("passing", user_id="ann"), rows.add("another")),
        lambda: rows.delete_many(["b", "c"], user_id="ann"),
        lambda: rows.upsert_many([rows.new("b"), rows.new("c")]),
        lambda: (db.delete_user("ann"), rows.add("old")),
        lambda: (db.delete_users(user_prefix="ann"), rows.add("old")),
        lambda: (db.clear(), rows.add("old")),
        lambda: (db.drop_table(), db.create(), rows.add("old")),
    )
    marks = [mark_of(rows)]
    for number, change in enumerate(changes):
        change()
        mark = mark_of(rows)
        assert mark not in marks, number
        marks.append(mark)


@check_rows("R18")
def a_mark_is_equal_when_rows_are_equal(rows: Rows) -> None:
    """Without a change the mark stays, and so does it where nothing was deleted or written."""
    rows.upsert_many([rows.new(id, user_id=user) for user in ("ann", None, "") for id in "ab"])
    marks = [mark_of(rows, user) for user in ("ann", NOBODY, "", "no such user")]
    other = rows.trial.rows(rows.trial.open(), rows.kind)
    rows.read()
    rows.delete("none", user_id="ann")
    rows.delete_many(["none"], user_id="ann")
    rows.upsert_many([])
    rows.trial.db.create()
    for seen in (rows, other):
        users = ("ann", NOBODY, "", "no such user")
        assert [seen.db.change_mark(user) for user in users] == marks


@check_rows("R18")
def a_mark_is_of_one_user(rows: Rows) -> None:
    """What other users write and delete does not move a mark; each user has one."""
    users = ("ann", "", NOBODY, "ann2", "Ann", "ann ", "x" * 300 + "1", "x" * 300 + "2")
    for user in users:
        mark = mark_of(rows, user)
        others = [other for other in users if other is not user]
        marks = [mark_of(rows, other) for other in others]
        rows.add("same", user_id=user)
        assert mark_of(rows, user) != mark
        assert [mark_of(rows, other) for other in others] == marks
    marks = [mark_of(rows, user) for user in users]
    assert len(set(marks)) == len(users)
    rows.trial.db.delete_user("ann2")
    assert [mark_of(rows, user) for user in users[:3]] == marks[:3]


@check_rows("R18")
def a_change_is_seen_by_the_next_mark_elsewhere(rows: Rows) -> None:
    """The mark that another object asks for knows each write and deletion that has returned."""
    other = rows.trial.rows(rows.trial.open(), rows.kind)
    marks = {mark_of(other)}
    for n in range(5):
        rows.add(f"{n}")
        marks.add(mark_of(other))
    for n in range(4):
        rows.delete(f"{n}", user_id="ann")
        marks.add(mark_of(other))
    assert len(marks) == 10
    assert mark_of(other) == mark_of(rows)


@check("R18")
def a_mark_covers_memories_and_summaries(trial: Trial) -> None:
    """A change of either kind moves the one mark of the user."""
    marks = [mark_of(trial.memories)]
    for change in (
        lambda: trial.memories.add("a"),
        lambda: trial.summaries.add("a"),
        lambda: trial.memories.delete("a", user_id="ann"),
        lambda: trial.memories.add("a"),
    ):
        change()
        marks.append(mark_of(trial.memories))
    assert len(set(marks)) == len(marks)


@check_rows("R18")
def a_restored_row_moves_the_mark(rows: Rows) -> None:
    """Records that are restored with the versions and times of rows that were deleted move the
    mark."""
    store, now = rows.trial.store, datetime.now(timezone.utc)
    rows.upsert_many([rows.new("a"), rows.new("b")])
    kept = store.get(rows.kind, "ann", "b")._replace(stamp=None, position=None)
    marks = [mark_of(rows)]
    for n in range(6):
        rows.delete("b", user_id="ann")
        store.restore([Write(kept._replace(payload={"n": n}), now)])
        marks.append(mark_of(rows))
    assert len(set(marks)) == len(marks)


@check_rows("R18")
def a_rewrite_moves_the_stamp_and_nothing_else(rows: Rows) -> None:
    """Store.rewrite replaces payload and vector of the state it was made for, and moves the mark;
    version, times, end and place stay."""
    store, kind = rows.trial.store, rows.kind
    for user in ("ann", None):
        for id in "abc":
            rows.add(id, {"old": 1}, user)
        mark = mark_of(rows, "ann")
        before = store.get(kind, user, "b")
        new = {"payload": {"new": [1]}, "vector": b"\x00\xff"}
        assert store.rewrite(kind, user, "b", before.stamp ^ 1, **new) is False
        assert store.get(kind, user, "b") == before
        assert store.rewrite(kind, user, "b", before.stamp, **new) is True
        after = store.get(kind, user, "b")
        assert after.stamp != before.stamp
        assert after == before._replace(stamp=after.stamp, **new)
        assert store.rewrite(kind, user, "b", before.stamp, **new) is False
        assert store.rewrite(kind, user, "none", before.stamp, **new) is False
        assert store.rewrite(kind, "bob", "b", after.stamp, **new) is False
        assert (mark_of(rows, "ann") != mark) is (user == "ann")
        name = "ann" if user else NOBODY
        assert rows.ids(name, sort="asc") == ["a", "b", "c"]


@check("R18")
def a_rewrite_of_nothing_makes_no_store(trial: Trial) -> None:
    """Store.rewrite finds nothing in a store that was never made, and does not make it."""
    done = trial.store.rewrite(Kind.MEMORY, "ann", "a", 1, payload={}, vector=None)
    assert done is False
    assert trial.db.table_exists() is False
    mark_of(trial.memories)
    assert trial.db.table_exists() is False


@check_rows("R18")
def an_end_and_a_vector_are_kept_with_their_row(rows: Rows) -> None:
    """The end and the vector of a write are stored in one step with it; the next write replaces
    them, and its row has another stamp."""
    scope, store = Scope.of_user("ann"), rows.trial.store
    now = datetime.now(timezone.utc)
    end = datetime(2199, 1, 2, 3, 4, 5, 678000, timezone.utc)

    stamps: set[int] = set()
    for is_bulk in (False, True):
        for vector, ends in ((b"\x00\x01\xff" * 100, end), (b"x", None), (None, end), (b"y", end)):
            record = Record(rows.kind, "ann", "a", {"n": 1}, now, now, 1, ends, vector)
            write = Write(record, now)
            _ = store.put_many([write]) if is_bulk else store.put(write)
            (found,) = store.page(rows.kind, scope, newest_first=True, after=None, limit=None)
            assert (found.vector, found.expires_at) == (vector, ends)
            assert found == store.get(rows.kind, "ann", "a")
            assert found == store.find(rows.kind, ["a"])[0]
            stamps.add(found.stamp)
    assert len(stamps) == 8
    assert rows.get("a").expires_at == end


@check_rows("R18")
def stamps_are_in_the_order_of_writing(rows: Rows) -> None:
    """Store.stamps tells one user's rows in the order in which they were first written."""
    rows.add("z", user_id="bob")
    ids = ["m", "z", "a", "10", "9"]
    rows.upsert_many(map(rows.new, ids))
    rows.add("z", {"n": 2})
    told = [id for id, _ in rows.trial.store.stamps(rows.kind, "ann")]
    assert told == ids
