"""R3: order."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import islice

from buddy.memory.testing.assertions import at_once, clock, in_a_child, raises
from buddy.memory.testing.backend_under_test import Rows
from buddy.memory.testing.check import check_rows


def fill(rows: Rows, count: int) -> list[str]:
    """Store rows whose ids do not sort as they are written; return the ids, oldest first."""
    ids = [f"{(n * 7) % 10}-{n}" for n in range(count)]
    for id in ids:
        rows.add(id)
    return ids


@check_rows("R3")
def order_is_the_order_of_writing(rows: Rows) -> None:
    """Reads are newest first, or oldest first for "asc", in the order of writing."""
    ids = fill(rows, 12)
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
    ids = fill(rows, 10)
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
    ids = fill(rows, 9)
    for sort in ("asc", "desc"):
        pages, left = rows.iter("ann", sort, 3), rows.ids("ann", sort=sort)
        seen = [row.id for row in islice(pages, 4)]
        rows.delete_many(seen)
        rows.add("new", user_id="bob")
        assert seen + [row.id for row in islice(pages, 20)] == left, sort
        rows.upsert_many([rows.new(id) for id in ids])


@check_rows("R3", "order_across_users")
def order_over_users_is_the_order_of_writing(rows: Rows) -> None:
    """The rows of all users, of a prefix too, are in the order of writing, whatever clocks say."""
    now = datetime.now(timezone.utc)
    users = ("bob", "ann", None, "", "anna")
    for n in range(15):
        with clock(now - timedelta(hours=n)):
            rows.add(f"{n * 7 % 10}-{n}", user_id=users[n % 5])
    with clock(now - timedelta(days=1)):
        rows.upsert_many(rows.new(f"{n * 7 % 10}-{n}", user_id=users[n % 5]) for n in range(15, 40))
    written = [f"{n * 7 % 10}-{n}" for n in range(40)]
    of_prefix = [id for n, id in enumerate(written) if n % 5 in (1, 4)]
    assert rows.ids(sort="asc") == written
    assert rows.ids(limit=7) == written[:-8:-1]
    assert [row.id for row in rows.iter(page_size=3)] == written[::-1]
    found = rows.iter(sort="asc", page_size=3, user_prefix="ann")
    assert [row.id for row in found] == of_prefix


@check_rows("R3", "forks", only="sync")
def a_process_writes_behind_what_it_has_read(rows: Rows) -> None:
    """A row is behind those of its user that its process has read, even by a clock that is late."""
    _order_of_two_processes(rows, reads_before=True)


@check_rows("R3", "forks", "order_without_clocks", only="sync")
def processes_write_behind_each_other(rows: Rows) -> None:
    """A row is behind those that another process has written, even by a clock that is late."""
    _order_of_two_processes(rows, reads_before=False)


def _order_of_two_processes(rows: Rows, reads_before: bool) -> None:
    now, trial = datetime.now(timezone.utc), rows.trial
    rows.add("first")
    rows.upsert_many([rows.new("second"), rows.new("third")])

    def write_late() -> None:
        with clock(now - timedelta(hours=1)):
            others = trial.rows(trial.subject.open(), rows.kind)
            if reads_before:
                assert others.ids("ann", 1) == ["third"]
            others.add("fourth")
            others.upsert_many([others.new("fifth"), others.new("sixth")])

    if in_a_child(write_late):
        assert rows.ids("ann", sort="asc") == [
            "first",
            "second",
            "third",
            "fourth",
            "fifth",
            "sixth",
        ]
