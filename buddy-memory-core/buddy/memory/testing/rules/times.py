"""R2: times."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from buddy.memory.errors import InvalidMemoryError
from buddy.memory.testing.assertions import clock, raises
from buddy.memory.testing.backend_under_test import Rows
from buddy.memory.testing.check import check_rows

LONG_AGO = datetime(2001, 2, 3, 4, 5, 6, 789012, timezone.utc)


@check_rows("R2")
def times_are_aware_utc_to_the_microsecond(rows: Rows) -> None:
    """Rows come back with aware UTC times, to the microsecond, close to now."""
    start = datetime.now(timezone.utc)
    row = rows.upsert(rows.new("a"))
    for time in (row.created_at, rows.updated(row)):
        assert time.utcoffset() == timedelta(0)
        assert start <= time <= datetime.now(timezone.utc)
    assert rows.get("a") == row
    assert rows.read() == [row]
    for microsecond in (0, 1, 100, 120_000, 999_999):
        odd, id = LONG_AGO.replace(microsecond=microsecond), f"{microsecond}"
        stored = rows.upsert(rows.new(id, created_at=odd, updated_at=odd))
        assert (stored.created_at, rows.updated(stored)) == (odd, odd)
        assert rows.get(id) == stored


@check_rows("R2")
def a_row_written_anew_has_times_of_its_own(rows: Rows) -> None:
    """A row that was deleted and is written again was made then, and begins at version 1."""
    for bulk in (False, True):
        before = rows.upsert(rows.new("a", created_at=LONG_AGO, updated_at=LONG_AGO))
        assert rows.delete_many(["a"]) if bulk else rows.delete("a")
        after = rows.add("a", {"n": 2})
        assert after.created_at > before.created_at
        assert after.version == 1
        assert rows.get("a") == after
        assert rows.delete("a")


@check_rows("R2")
def created_at_survives_and_updated_at_moves(rows: Rows) -> None:
    """created_at is set once; every write moves the time of the last one."""
    first = rows.add("a", {"n": 1})
    second = rows.add("a", {"n": 2})
    third = rows.upsert_many([rows.new("a", {"n": 3})])[0]
    assert first.created_at == second.created_at == third.created_at
    assert rows.updated(first) < rows.updated(second) < rows.updated(third)
    assert rows.get("a") == third


@check_rows("R2")
def times_move_within_a_tick_and_when_the_clock_steps_back(rows: Rows) -> None:
    """The time of the last write moves on even when the clock does not."""
    now = datetime.now(timezone.utc)
    with clock(now):
        times = [rows.updated(rows.add("a", {"n": n})) for n in range(3)]
    with clock(now - timedelta(hours=1)):
        times.append(rows.updated(rows.add("a", {"n": 4})))
        times.append(rows.updated(rows.upsert_many([rows.new("a", {"n": 5})])[0]))
    assert times == sorted(set(times))


@check_rows("R2")
def times_of_the_caller_are_kept_on_the_first_write(rows: Rows) -> None:
    """Times given on a first write are kept; on an update they are not taken."""
    later = LONG_AGO + timedelta(days=1)
    row = rows.upsert(rows.new("a", created_at=LONG_AGO, updated_at=later))
    assert (row.created_at, rows.updated(row)) == (LONG_AGO, later)
    again = rows.upsert(rows.new("a", {"n": 2}, created_at=later, updated_at=LONG_AGO))
    assert again.created_at == LONG_AGO
    assert rows.updated(again) > later
    assert rows.get("a") == again
    bulk = rows.upsert_many([rows.new("b", created_at=LONG_AGO, updated_at=later)])
    assert (bulk[0].created_at, rows.updated(bulk[0])) == (LONG_AGO, later)
    bulk = rows.upsert_many([rows.new("b", created_at=later, updated_at=LONG_AGO)])
    assert bulk[0].created_at == LONG_AGO
    assert rows.updated(bulk[0]) > later
    assert rows.get("b") == bulk[0]


@check_rows("R2")
def times_far_from_now_are_kept(rows: Rows) -> None:
    """Times long before and after ours are kept to the microsecond, and such rows can change."""
    for time in (
        datetime(1, 1, 2, 3, 4, 5, 1, timezone.utc),
        datetime(1969, 12, 31, 23, 59, 59, 999999, timezone.utc),
        datetime(9999, 12, 29, 1, 2, 3, 654321, timezone.utc),
    ):
        row = rows.upsert(rows.new(f"{time}", created_at=time, updated_at=time))
        assert (row.created_at, rows.updated(row)) == (time, time)
        assert rows.get(f"{time}") == row
        again = rows.add(f"{time}", {"n": 2})
        assert again.created_at == time
        assert rows.updated(again) > time
        assert rows.get(f"{time}") == again
    # An update moves the time of the last write, and there is none after this one.
    end = datetime.max.replace(tzinfo=timezone.utc)
    raises(InvalidMemoryError, rows.upsert, rows.new("end", updated_at=end))
    raises(InvalidMemoryError, rows.upsert_many, [rows.new("end", updated_at=end)])
    assert rows.upsert(rows.new("end", created_at=end)).created_at == end
    assert rows.add("end", {"n": 2}).created_at == end


@check_rows("R2")
def a_naive_time_is_local_and_another_zone_is_converted(rows: Rows) -> None:
    """A naive time is local time, as in Python; any other zone is converted to UTC."""
    naive = datetime(2020, 7, 1, 12, 0, 0, 5)
    row = rows.upsert(rows.new("a", created_at=naive, updated_at=naive))
    assert row.created_at == naive.astimezone(timezone.utc)
    east = LONG_AGO.astimezone(timezone(timedelta(hours=5, minutes=30)))
    row = rows.upsert(rows.new("b", created_at=east))
    assert row.created_at == LONG_AGO
    assert row.created_at.utcoffset() == timedelta(0)
    raises(InvalidMemoryError, rows.upsert, rows.new("c", created_at="2020-01-01"))
    assert rows.get("c") is None
