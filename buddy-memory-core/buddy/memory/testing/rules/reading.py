"""R3, R4, R5: order, limit, scope."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import Any

from buddy.memory.testing.check import check, check_rows
from buddy.memory.testing.expect import at_once, clock, raises
from buddy.memory.testing.subject import Rows, Trial


def _fill(rows: Rows, count: int) -> list[str]:
    """Store rows whose ids do not sort as they are written; return the ids, oldest first."""
    ids = [f"{(n * 7) % 10}-{n}" for n in range(count)]
    for id in ids:
        rows.add(id)
    return ids


@check_rows("R3")
def order_is_the_order_of_writing(rows: Rows) -> None:
    """Reads are newest first, or oldest first for "asc", in the order of writing."""
    ids = _fill(rows, 12)
    assert rows.ids(sort="asc") == ids
    assert rows.ids(sort="desc") == rows.ids() == rows.ids(sort=None) == ids[::-1]
    assert rows.ids("ann", sort="asc") == ids


@check_rows("R3")
def order_of_bulk_writes_is_the_order_given(rows: Rows) -> None:
    """A bulk write keeps the order in which the rows are given, among other writes too."""
    rows.add("first")
    ids = [f"{(n * 7) % 10}-{n}" for n in range(25)]
    rows.upsert_many([rows.new(id) for id in ids])
    rows.add("last")
    assert rows.ids(sort="asc") == ["first", *ids, "last"]
    assert rows.ids(limit=2) == ["last", ids[-1]]


@check_rows("R3")
def order_holds_within_one_tick_and_when_the_clock_steps_back(rows: Rows) -> None:
    """The order of writing needs no clock."""
    now = datetime.now(timezone.utc)
    ids: list[str] = []
    for moment in (now, now, now - timedelta(days=1), now + timedelta(seconds=1), now):
        with clock(moment):
            for n in range(3):
                ids.append(f"{len(ids) * 7 % 10}-{len(ids)}")
                if n == 1:
                    rows.upsert_many([rows.new(ids[-1])])
                else:
                    rows.add(ids[-1])
    assert rows.ids(sort="asc") == ids
    assert rows.ids() == ids[::-1]


@check_rows("R3")
def order_is_kept_by_another_opener_whose_clock_is_behind(rows: Rows) -> None:
    """A store opened anew writes after what is there, even when its clock is behind."""
    now = datetime.now(timezone.utc)
    with clock(now + timedelta(days=2)):
        rows.add("old")
    again = rows.trial.rows(rows.trial.open(), rows.kind)
    with clock(now):
        again.add("new")
    assert rows.ids() == ["new", "old"]


@check_rows("R3")
def order_is_not_that_of_given_times(rows: Rows) -> None:
    """Times that the caller gives do not change the order, and an update keeps a row's place."""
    past = datetime(2001, 1, 1, tzinfo=timezone.utc)
    rows.add("a")
    rows.upsert(rows.new("b", created_at=past, updated_at=past))
    rows.add("c")
    rows.add("a", {"again": True})
    rows.upsert_many([rows.new("b", {"again": True})])
    assert rows.ids(sort="asc") == ["a", "b", "c"]


@check_rows("R3")
def a_row_written_anew_is_the_newest(rows: Rows) -> None:
    """A row that was deleted and is written again has lost its old place."""
    for id in "cab":
        rows.add(id)
    rows.delete("c")
    rows.delete_many(["b"])
    rows.upsert_many([rows.new("c")])
    rows.add("b")
    assert rows.ids(sort="asc") == ["a", "c", "b"]
    assert [row.id for row in rows.iter("ann", page_size=1)] == ["b", "c", "a"]


@check_rows("R3")
def order_of_writers_at_once_is_total(rows: Rows) -> None:
    """Rows that were written at once have one order, in which no page skips or repeats any."""
    rows.trial.db.create()
    others = [rows.trial.rows(rows.trial.open(), rows.kind) for _ in range(4)]
    at_once(8, lambda n: [others[n % 4].add(f"{n}-{m}") for m in range(4)])
    ids = rows.ids(sort="asc")
    assert sorted(ids) == sorted(f"{n}-{m}" for n in range(8) for m in range(4))
    assert rows.ids() == ids[::-1]
    for size in (1, 5):
        assert [row.id for row in islice(rows.iter("ann", "asc", size), 40)] == ids, size
    for n in range(8):
        assert [id for id in ids if id.startswith(f"{n}-")] == [f"{n}-{m}" for m in range(4)]


@check_rows("R3")
def an_unknown_sort_is_an_error(rows: Rows) -> None:
    """Any sort but None, "asc" and "desc" is a ValueError."""
    for sort in ("", "ASC", "newest", "desc; DROP TABLE memory", 1, True):
        raises(ValueError, rows.read, sort=sort)
        raises(ValueError, rows.read, limit=0, sort=sort)
        raises(ValueError, rows.iter, sort=sort)


@check_rows("R3")
def pages_keep_the_order(rows: Rows) -> None:
    """Iteration yields what a listing returns, whatever the page size."""
    ids = _fill(rows, 10)
    rows.add("of bob", user_id="bob")
    for size in (1, 3, 5, 10, 11, 1000):
        # Bounded: a backend that repeats rows may never come to an end.
        forwards = islice(rows.iter("ann", "asc", size), 20)
        assert [row.id for row in forwards] == ids, size
        backwards = islice(rows.iter("ann", page_size=size), 20)
        assert [row.id for row in backwards] == ids[::-1], size
    assert len(list(rows.iter())) == 11
    assert list(rows.iter("nobody")) == []
    raises(ValueError, rows.iter, page_size=0)


@check_rows("R3")
def pages_do_not_move_while_rows_are_deleted(rows: Rows) -> None:
    """Rows that are deleted or added during an iteration make it neither skip nor repeat others."""
    ids = _fill(rows, 9)
    for sort in ("asc", "desc"):
        pages, left = rows.iter("ann", sort, 3), rows.ids("ann", sort=sort)
        seen = [row.id for row in islice(pages, 4)]
        rows.delete_many(seen)
        rows.add("new", user_id="bob")
        assert seen + [row.id for row in islice(pages, 20)] == left, sort
        rows.upsert_many([rows.new(id) for id in ids])


@check_rows("R4")
def limit_is_the_first_n(rows: Rows) -> None:
    """None reads all, 0 none, N the first N of that user in the asked order."""
    ids = _fill(rows, 5)
    assert rows.ids("ann", 1) == rows.ids(limit=1) == [ids[-1]]
    rows.add("of bob", user_id="bob")
    assert rows.ids("ann", 2) == [ids[4], ids[3]]
    assert rows.ids("bob", 2, "asc") == ["of bob"]
    rows.delete("of bob")
    assert rows.ids(limit=None) == ids[::-1]
    assert rows.read(limit=0) == []
    for n in (1, 4, 5, 6, 2**40):
        assert rows.ids(limit=n) == ids[::-1][:n], n
        assert rows.ids("ann", n, "asc") == ids[:n], n


@check_rows("R4")
def a_wrong_limit_is_an_error(rows: Rows) -> None:
    """A limit that is negative or no int is a ValueError."""
    rows.add("a")
    wrong: list[Any] = [-1, -(10**30), 10**30, "1", 1.5, True]
    for limit in wrong:
        raises(ValueError, rows.read, limit=limit)
        raises(ValueError, rows.read, "ann", limit, "asc")


@check_rows("R5")
def no_user_means_all_users(rows: Rows) -> None:
    """user_id=None reads and counts all users, also rows that have none."""
    for n, user in enumerate(("ann", "bob", None, "")):
        rows.add(str(n), user_id=user)
    assert rows.ids(sort="asc") == ["0", "1", "2", "3"]
    assert rows.count() == 4
    assert (rows.ids("bob"), rows.count("bob")) == (["1"], 1)
    assert (rows.ids(""), rows.count("")) == (["3"], 1)
    assert (rows.ids("nobody"), rows.count("nobody")) == ([], 0)


@check("R5")
def a_table_that_was_never_made_reads_as_empty(trial: Trial) -> None:
    """A table that was never made reads as empty, and reading or deleting does not make it."""
    for rows in (trial.memories, trial.summaries):
        assert rows.read() == rows.read("ann", 3, "asc") == list(rows.iter()) == []
        assert rows.count() == rows.count("ann") == 0
        assert rows.get("a") is None
        assert rows.delete("a") is False
        assert rows.delete_many(["a", "b"]) == 0
    assert trial.db.memory_exists(trial.memories.new("a")) is False
    assert trial.db.delete_user("ann") == {"memories": 0, "summaries": 0}
    assert trial.db.clear() is True
    trial.db.ping()
    assert trial.db.table_exists() is False
    trial.db.drop_table()
    assert trial.db.table_exists() is False


@check_rows("R5")
def the_first_write_makes_the_table(rows: Rows) -> None:
    """The first write makes the table, single or bulk, and again after a drop."""
    rows.add("a")
    assert rows.trial.db.table_exists() is True
    assert rows.ids() == ["a"]
    rows.trial.db.drop_table()
    assert rows.trial.db.table_exists() is False
    assert rows.read() == []
    rows.upsert_many([rows.new("b")])
    assert rows.trial.db.table_exists() is True
    assert rows.ids() == ["b"]
