"""Many rows in one call: all or nothing, any size, and beside others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from random import Random
from typing import Any

import psycopg
import pytest

from buddy.memory.errors import TooLargeError
from buddy.memory.testing.assertions import at_once, clock
from buddy.memory.v2.db.postgres import PostgresMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from buddy_memory_postgres import store


@pytest.fixture
def db(postgres_url: str, schema: str) -> Iterator[PostgresMemoryDb]:
    with PostgresMemoryDb("notes", schema, postgres_url) as db:
        yield db


def test_a_call_may_be_larger_than_a_statement(db: PostgresMemoryDb) -> None:
    """Rows of several statements come back and are kept in the order given."""
    number = 2 * store.PORTION_ROWS + 7
    given = [MemoryRow({"n": n}, f"{n * 7 % 100}-{n}", f"user {n % 3}") for n in range(number)]
    stored = db.upsert_memories(given)
    assert [row.id for row in stored] == [row.id for row in given]
    assert {row.version for row in stored} == {1}
    assert [row.id for row in db.read_memories(sort="asc")] == [row.id for row in given]
    again = db.upsert_memories(given[::2])
    assert {row.version for row in again} == {2}
    assert db.count_memories() == number


def test_large_rows_are_spread_over_statements(
    db: PostgresMemoryDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement carries rows up to a size, and at least one."""
    monkeypatch.setattr(store, "PORTION_CHARACTERS", 1000)
    texts = ["x" * size for size in (10, 2000, 10, 400, 400, 400, 3000)]
    rows: list[Any] = [
        (str(n), "", text, None, None, None, None, 0) for n, text in enumerate(texts)
    ]
    assert [len(portion) for portion in store.portions(rows)] == [1, 1, 3, 1, 1]
    db.upsert_memories(MemoryRow({"s": text}, str(n)) for n, text in enumerate(texts))
    assert [row.memory["s"] for row in db.read_memories(sort="asc")] == texts


@pytest.mark.parametrize("users", [[""], [None], ["", ""], [None, ""], ["\x1f", "\x1e", None, "a"]])
def test_users_of_every_kind(db: PostgresMemoryDb, users: list[str | None]) -> None:
    """No user, the empty user and those named like the marks of a statement stay apart."""
    rows = [MemoryRow({"n": n}, f"\x1e{n}\x1f", user) for n, user in enumerate(users)]
    db.upsert_memories(rows)
    found = [(row.id, row.user_id, row.memory) for row in db.read_memories(sort="asc")]
    assert found == [(row.id, row.user_id, row.memory) for row in rows]


def test_given_times(db: PostgresMemoryDb) -> None:
    """Rows with times of their own keep them beside rows without, and come back with them."""
    given = datetime(2020, 1, 2, 3, 4, 5, 678901, timezone.utc)
    rows = [
        MemoryRow({}, "a"),
        MemoryRow({}, "b", created_at=given),
        MemoryRow({}, "c", last_updated=given),
    ]
    stored = db.upsert_memories(rows)
    assert stored == db.read_memories(sort="asc")
    assert [row.created_at for row in stored[1:]] == [given, given]
    assert stored[2].last_updated == given
    assert stored[0].created_at == stored[0].last_updated == stored[1].last_updated


def test_all_or_nothing(db: PostgresMemoryDb) -> None:
    """When one row of thousands is refused, none is stored, and the error says so."""
    long = "".join(Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=20_000))  # noqa: S311
    db.upsert_memory(MemoryRow({}, "kept", "bob"))
    rows = [MemoryRow({}, str(n), "ann") for n in range(store.PORTION_ROWS + 1)]
    for place in (0, 1000, len(rows)):
        with pytest.raises(TooLargeError) as caught:
            db.upsert_memories([*rows[:place], MemoryRow({}, long, "ann"), *rows[place:]])
        assert caught.value.stored == ()
        assert db.count_memories() == 1


def test_writers_of_the_same_rows_do_not_fail_each_other(
    db: PostgresMemoryDb, admin: psycopg.Connection
) -> None:
    """Bulk writes of the same ids in opposite orders at once all succeed, each exactly once."""
    ids = [str(n) for n in range(200)]
    db.upsert_memories(MemoryRow({}, id) for id in ids)

    def work(n: int) -> None:
        for _ in range(5):
            order = ids if n % 2 else ids[::-1]
            db.upsert_memories(MemoryRow({"n": n}, id) for id in order)

    admin.execute("ALTER SYSTEM SET deadlock_timeout = '10ms'")
    admin.execute("SELECT pg_reload_conf()")
    at_once(8, work)
    admin.execute("ALTER SYSTEM RESET deadlock_timeout")
    admin.execute("SELECT pg_reload_conf()")
    assert {row.version for row in db.read_memories()} == {41}


def test_a_clock_that_is_behind(db: PostgresMemoryDb) -> None:
    """Rows whose stored time is ahead of this clock are updated with all others."""
    now = datetime.now(timezone.utc)
    with clock(now + timedelta(days=1)):
        ahead = db.upsert_memories([MemoryRow({}, str(n)) for n in range(3)])
    with clock(now):
        rows = db.upsert_memories([MemoryRow({"n": n}, str(n)) for n in range(5)])
    assert [row.version for row in rows] == [2, 2, 2, 1, 1]
    assert all(new.last_updated > old.last_updated for new, old in zip(rows, ahead, strict=False))  # type: ignore[operator]


def test_delete_any_number(db: PostgresMemoryDb) -> None:
    """Any number of ids is deleted by one statement, which counts the rows that were there."""
    db.upsert_memories(MemoryRow({}, str(n), f"user {n % 2}") for n in range(3000))
    ids = [str(n) for n in range(70_000)]
    assert db.delete_memories(ids, user_id="user 1") == 1500
    assert db.delete_memories(ids) == 1500
