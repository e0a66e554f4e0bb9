"""Rows of users: named by user and id, listed from indexes, marked by their states."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any

import psycopg
import pytest
from psycopg import sql

from buddy.memory.storage.record import Key, Kind, Record, Scope, Write
from buddy.memory.storage.sync_runner import run
from buddy.memory.testing.assertions import at_once
from buddy.memory.v2.db.postgres import AsyncPostgresMemoryDb, PostgresMemoryDb
from buddy.memory.v2.db.schema import MemoryRow

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)


@pytest.fixture
def db(postgres_url: str, schema: str) -> Iterator[PostgresMemoryDb]:
    with PostgresMemoryDb("notes", schema, postgres_url) as db:
        yield db


@pytest.fixture
def store(db: PostgresMemoryDb) -> Any:
    return db._rules.store


def write(user: str | None, id: str = "a", **fields: Any) -> Write:
    record = Record(Kind.MEMORY, user, id, {"of": user}, NOW, NOW)
    return Write(record._replace(**fields), NOW)


def test_ends_and_vectors_are_kept(store: Any) -> None:
    """A row's end and vector come back, single and in bulk, and an update replaces both."""
    end = datetime(2031, 2, 3, 4, 5, 6, 789, timezone.utc)
    vectors = [None, b"\x00\xff", b"\x1f\x1e", bytes(range(256))]
    writes = [write("ann", str(n), expires_at=end, vector=v) for n, v in enumerate(vectors)]
    run(store.put_many(writes))
    run(store.put(write("ann", "single", expires_at=end, vector=b"\x00")))
    keys = [*[Key("ann", str(n)) for n in range(4)], Key("ann", "single")]
    found = run(store.get_many(Kind.MEMORY, keys))
    assert [row.vector for row in found] == [*vectors, b"\x00"]
    assert {row.expires_at for row in found} == {end}
    run(store.put_many([write("ann", "1"), write("ann", "0", vector=b"v")]))
    found = run(store.get_many(Kind.MEMORY, keys[:2]))
    assert [(row.expires_at, row.vector) for row in found] == [(None, b"v"), (None, None)]


def test_find_returns_two_of_an_id(store: Any) -> None:
    """By id alone up to two rows of each id come back, in one statement."""
    users = [None, "", *[f"u{n}" for n in range(20)]]
    run(store.put_many([write(user, "shared") for user in users]))
    run(store.put(write("u3", "single")))
    found = run(store.find(Kind.MEMORY, ["shared", "single", "none"]))
    assert sorted(row.id for row in found) == ["shared", "shared", "single"]
    assert len({row.user_id for row in found if row.id == "shared"}) == 2


def test_a_mark_tells_states_apart(store: Any, admin: psycopg.Connection, schema: str) -> None:
    """A mark changes with every write, rewriting, deletion and edit by hand, and with nothing
    else."""
    rows = sql.Identifier(schema, "notes")
    marks = [run(store.mark(Kind.MEMORY, "ann"))]

    def changed(work: Any) -> None:
        work()
        marks.append(run(store.mark(Kind.MEMORY, "ann")))

    changed(lambda: run(store.put_many([write("ann", str(n)) for n in range(9)])))
    changed(lambda: run(store.put(write("ann", "1"))))
    changed(lambda: run(store.put_many([write("ann", "1"), write("ann", "2")])))
    changed(lambda: run(store.delete(Kind.MEMORY, "ann", "8", None)))
    changed(lambda: run(store.put(write("ann", "8"))))
    stamp = run(store.get(Kind.MEMORY, "ann", "3")).stamp
    new: Any = {"payload": {"of": "ann"}, "vector": b"v"}
    changed(lambda: run(store.rewrite(Kind.MEMORY, "ann", "3", stamp, **new)))
    edit = "UPDATE {} SET memory = '{{}}' WHERE id = '4'"
    changed(lambda: admin.execute(sql.SQL(edit).format(rows)))
    assert len(set(marks)) == len(marks) == 8

    changed(lambda: run(store.put(write("bob", "1"))))
    assert run(store.rewrite(Kind.MEMORY, "ann", "3", stamp, **new)) is False
    with admin.transaction(force_rollback=True):
        admin.execute(sql.SQL("DELETE FROM {}").format(rows))
    changed(lambda: admin.execute(sql.SQL("VACUUM (FULL, FREEZE) {}").format(rows)))
    assert marks[-1] == marks[-2] == marks[-3]


def test_a_rewriting_that_waited_for_a_writer(
    store: Any, admin: psycopg.Connection, postgres_url: str, schema: str
) -> None:
    """A row that changes while its rewriting waits for it is left as the writer left it."""
    run(store.put(write("ann")))
    stamp = run(store.get(Kind.MEMORY, "ann", "a")).stamp
    edit = sql.SQL("UPDATE {} SET memory = '{{\"n\": 1}}'").format(sql.Identifier(schema, "notes"))
    waits = "SELECT 1 FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))"
    with psycopg.connect(postgres_url) as other, ThreadPoolExecutor(1) as threads:
        other.execute(edit)
        rewriting = threads.submit(
            lambda: run(store.rewrite(Kind.MEMORY, "ann", "a", stamp, payload={}, vector=b"v"))
        )
        while not admin.execute(waits, [other.info.backend_pid]).fetchall():
            assert not rewriting.done()
        other.commit()
        assert rewriting.result() is False
    found = run(store.get(Kind.MEMORY, "ann", "a"))
    assert (found.payload, found.vector) == ({"n": 1}, None)


def test_a_table_made_again_is_another_generation(store: Any) -> None:
    """Clearing keeps the generation, and positions go on; a new table has another one."""
    assert run(store.generation(Kind.MEMORY)) == ""
    run(store.put(write("ann")))
    first = run(store.generation(Kind.MEMORY))
    run(store.delete_all(Kind.MEMORY, Scope.of_user("ann")))
    run(store.put(write("ann")))
    assert run(store.generation(Kind.MEMORY)) == first
    (row,) = run(store.find(Kind.MEMORY, ["a"]))
    assert row.position == 2
    run(store.drop())
    run(store.put(write("ann")))
    assert run(store.generation(Kind.MEMORY)) not in ("", first)


@pytest.mark.parametrize("where", ["user", "prefix", "users"])
def test_listings_come_from_an_index(
    where: str, store: Any, admin: psycopg.Connection, schema: str
) -> None:
    """Rows of a user, rows of a prefix and users are found in an index, not by a scan."""
    run(store.put_many([write(f"u{n % 300:03}", str(n)) for n in range(6000)]))
    admin.execute(sql.SQL("VACUUM ANALYZE {}").format(sql.Identifier(schema, "notes")))
    scope = Scope.of_user("u007") if where == "user" else Scope.of_prefix("u00")
    statements: list[Any] = []
    read = store._connector.read

    async def seen(query: Any) -> Any:
        statements.append(query)
        return await read(query)

    store._connector.read = seen
    if where == "users":
        run(store.users(Kind.MEMORY, prefix="u1", after="u105", limit=20))
    else:
        run(store.page(Kind.MEMORY, scope, newest_first=True, after=5000, limit=20))
    store._connector.read = read
    query = statements[-1]
    plan = "\n".join(line for (line,) in admin.execute(f"EXPLAIN {query.sql}", query.values))
    assert "Seq Scan" not in plan
    assert "_user_id_seq_key" in plan


# --- bursts


def test_a_burst_of_threads(db: PostgresMemoryDb) -> None:
    """Three hundred threads at once wait for connections; none is refused, on a new table too."""

    def work(n: int) -> None:
        db.upsert_memory(MemoryRow({"n": n}, "a", f"u{n}"))
        assert db.read_memory("a", user_id=f"u{n}") is not None

    at_once(300, work)
    assert len(db.list_users()) == 300


def test_a_burst_of_tasks(postgres_url: str, schema: str) -> None:
    """Three hundred tasks at once wait for connections; none is refused, on a new table too."""

    async def work() -> None:
        async with AsyncPostgresMemoryDb("notes", schema, postgres_url) as db:
            rows = [MemoryRow({"n": n}, "a", f"u{n}") for n in range(300)]
            await asyncio.gather(*[db.upsert_memory(row, if_version=0) for row in rows])
            await asyncio.gather(*[db.count_memories(row.user_id) for row in rows])
            assert len(await db.list_users()) == 300

    asyncio.run(work())
