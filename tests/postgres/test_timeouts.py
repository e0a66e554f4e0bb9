"""R21: a server that stops answering holds no call beyond its timeout."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from buddy.memory.errors import ConfigError, UnavailableError
from buddy.memory.v2.db.postgres import AsyncPostgresMemoryDb, PostgresMemoryDb
from buddy.memory.v2.db.schema import MemoryRow


def named(url: str, application: str) -> str:
    """The URL with a name by which the server shows its connections."""
    return f"{url}{'&' if '?' in url else '?'}application_name={application}"


@contextmanager
def stopped(admin: psycopg.Connection[Any], name: str) -> Iterator[None]:
    """Stop the server's processes that serve the connections of an application."""
    query = "SELECT pid FROM pg_stat_activity WHERE application_name = %s"
    pids = [pid for (pid,) in admin.execute(query, (name,)).fetchall()]
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


CALLS: dict[str, Callable[[Any], Any]] = {
    "read": lambda db: db.read_memories("ann"),
    "get": lambda db: db.read_memory("a", user_id="ann"),
    "write": lambda db: db.upsert_memory(MemoryRow({"n": 2}, "a", "ann")),
    "bulk": lambda db: db.upsert_memories([MemoryRow({"n": 2}, f"{n}", "ann") for n in range(9)]),
    "ping": lambda db: db.ping(),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_server_that_stands_still(
    postgres_url: str, admin: psycopg.Connection[Any], schema: str, name: str
) -> None:
    """The call is an UnavailableError, and the next one works on another connection."""
    url = named(postgres_url, schema)
    with PostgresMemoryDb("notes", schema, url, timeout=1) as db:
        db.upsert_memory(MemoryRow({"n": 1}, "a", "ann"))
        with stopped(admin, schema):
            with pytest.raises(UnavailableError, match="no answer within 1 s"):
                CALLS[name](db)
            assert db.read_memory("a", user_id="ann") is not None


@pytest.mark.parametrize("name", CALLS)
def test_a_server_that_stands_still_in_asyncio(
    postgres_url: str, admin: psycopg.Connection[Any], schema: str, name: str
) -> None:
    """The same for awaited calls; one that is cancelled comes back at once."""
    url = named(postgres_url, schema)

    async def main() -> None:
        async with AsyncPostgresMemoryDb("notes", schema, url, timeout=1) as db:
            await db.upsert_memory(MemoryRow({"n": 1}, "a", "ann"))
            with stopped(admin, schema):
                with pytest.raises(UnavailableError, match="no answer within 1 s"):
                    await CALLS[name](db)
                assert await db.read_memory("a", user_id="ann") is not None
        async with AsyncPostgresMemoryDb("notes", schema, url, timeout=60) as db:
            await db.read_memories("ann")
            with stopped(admin, schema):
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(CALLS[name](db), 0.2)
                assert await db.read_memory("a", user_id="ann") is not None

    asyncio.run(main())


def test_a_row_that_others_hold(
    postgres_url: str, admin: psycopg.Connection[Any], schema: str
) -> None:
    """A statement that waits for a lock ends, too; the server may have done it all the same."""
    with PostgresMemoryDb("notes", schema, postgres_url, timeout=0.5, pool_size=1) as db:
        db.upsert_memory(MemoryRow({"n": 1}, "a", "ann"))
        with admin.transaction():
            admin.execute(f'SELECT * FROM "{schema}".notes FOR UPDATE')  # noqa: S608
            with pytest.raises(UnavailableError, match="no answer"):
                db.upsert_memory(MemoryRow({"n": 2}, "a", "ann"))
        assert db.upsert_memory(MemoryRow({"n": 3}, "a", "ann")).version in (2, 3)


@pytest.mark.parametrize("timeout", [0, -1, "10", True, float("nan"), float("inf")])
def test_a_wrong_timeout(timeout: Any) -> None:
    """What is no number of seconds is refused by the constructor."""
    with pytest.raises(ConfigError, match="timeout"):
        PostgresMemoryDb("notes", db_url="postgresql://localhost/x", timeout=timeout)


def test_a_column_that_others_alter(
    postgres_url: str, admin: psycopg.Connection[Any], schema: str
) -> None:
    """Statements that were prepared before are prepared anew, sync and async."""
    with PostgresMemoryDb("notes", schema, postgres_url, pool_size=1) as db:
        row = db.upsert_memory(MemoryRow({"n": 1}, "a", "ann"))
        for kind in ("varchar", "text"):
            for _ in range(7):  # From the sixth time on it is prepared.
                assert db.read_memory("a", user_id="ann") == row
            admin.execute(f'ALTER TABLE "{schema}".notes ALTER COLUMN id TYPE {kind}')
            assert db.read_memory("a", user_id="ann") == row

    async def main() -> None:
        async with AsyncPostgresMemoryDb("notes", schema, postgres_url, pool_size=1) as db:
            for _ in range(7):
                assert await db.read_memory("a", user_id="ann") == row
            admin.execute(f'ALTER TABLE "{schema}".notes ALTER COLUMN id TYPE varchar')
            assert await db.read_memory("a", user_id="ann") == row

    asyncio.run(main())
