"""Row-level security: the server keeps a role to the rows of the user that a call is about."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from psycopg import sql

from buddy.memory import NOBODY, MemoryRow, SummaryRow, open_async_memory_db, open_memory_db
from buddy.memory.errors import AccessError, ConfigError
from buddy.memory.v2.db.postgres import PostgresMemoryDb
from buddy_memory_postgres.rls_command import rls_command
from tests.servers.postgres import PASSWORD

USERS = ("ann", "bob", "", "\x01odd", "a\nb'\"%s", None)


def statement(text: str, *names: str) -> sql.Composed:
    """Return SQL with quoted names in the place of its braces."""
    return sql.SQL(text).format(*map(sql.Identifier, names))  # type: ignore[arg-type]


@pytest.fixture
def owner(postgres_url: str, schema: str) -> Iterator[PostgresMemoryDb]:
    """The store, opened by who made its tables: a superuser."""
    with PostgresMemoryDb("notes", schema, postgres_url, row_security=True) as db:
        db.create()
        yield db


@pytest.fixture
def url(
    postgres_url: str, admin: psycopg.Connection, schema: str, owner: PostgresMemoryDb
) -> Iterator[str]:
    """The URL of an application's role, on tables under the policies."""
    admin.execute(statement(f"CREATE ROLE {{}} LOGIN PASSWORD '{PASSWORD}'", schema))
    admin.execute(statement("GRANT USAGE ON SCHEMA {} TO {}", schema, schema))
    tables = "ON ALL TABLES IN SCHEMA {} TO {}"
    admin.execute(statement(f"GRANT SELECT, INSERT, UPDATE, DELETE {tables}", schema, schema))
    info = psycopg.conninfo.conninfo_to_dict(postgres_url)
    host = f"{info['host']}:{info['port']}/{info['dbname']}"
    url = f"postgresql://{schema}:{PASSWORD}@{host}?table_name=notes&schema={schema}"
    script = CliRunner().invoke(rls_command, [url, "--script"])
    assert script.exit_code == 0, script.output
    admin.execute(script.output)  # type: ignore[arg-type]
    yield f"{url}&row_security=true"
    admin.execute(statement("DROP OWNED BY {}", schema))
    admin.execute(statement("DROP ROLE {}", schema))


def test_each_call_sees_its_user(url: str, owner: PostgresMemoryDb) -> None:
    """Every call that names a user works as without the policies, for users of any name."""
    with open_memory_db(url) as db:
        for user in USERS:
            whose = NOBODY if user is None else user
            row = db.upsert_memory(MemoryRow({"of": user}, "x", user))
            db.upsert_memories([MemoryRow({}, id, user) for id in "yz"], ttl=60)
            db.upsert_summary(SummaryRow({"of": user}, "s", user))
            assert db.upsert_memory(row, if_version=1).version == 2
            assert db.memory_exists(row)
            assert [row.id for row in db.read_memories(whose)] == ["z", "y", "x"]
            assert db.count_memories(whose) == 3
            read = db.read_memories_by_id(["x", "q"], user_id=whose)
            assert [row and row.memory for row in read] == [{"of": user}, None]
            assert db.touch_memories(["y"], user_id=whose, ttl=90) == 1
            assert db.search_memories("x", user_id=whose) is not None
            assert db.delete_memory("y", user_id=whose)
            assert db.delete_memories(["z", "q"], user_id=whose) == 1
        assert owner.count_memories() == len(USERS)
        assert db.forget_user("ann").verified
    assert sorted(row.user_id or "" for row in owner.read_memories()) == sorted(
        user or "" for user in USERS[1:]
    )


def test_calls_across_users_are_refused(url: str, owner: PostgresMemoryDb) -> None:
    """None of them answers "nothing"; a role that bypasses the policies has them all."""
    rows = [MemoryRow({}, "x", "ann"), MemoryRow({}, "x", "bob")]
    calls = [
        lambda db: db.read_memories(),
        lambda db: db.read_memories(user_prefix="a"),
        lambda db: db.read_memories_by_id(["x"]),
        lambda db: db.count_memories(),
        lambda db: db.list_users(),
        lambda db: db.upsert_memories(rows),
        lambda db: db.delete_users(user_prefix="a"),
        lambda db: db.sweep(),
        lambda db: db.clear(),
    ]
    with open_memory_db(url) as db:
        db.upsert_memory(rows[0])
        for call in calls:
            with pytest.raises(AccessError, match="one user at a time"):
                call(db)
        assert db.count_memories("ann") == 1
    for call in calls:
        call(owner)


def test_no_statement_reaches_another_user(url: str) -> None:
    """Without a user, also in a connection that served one, the server shows and takes nothing."""
    with open_memory_db(url) as db:
        for user in ("ann", None):
            db.upsert_memory(MemoryRow({}, "x", user))
        assert isinstance(db, PostgresMemoryDb)
        store = db._rules.store
        table = store._tables.both[0]  # type: ignore[attr-defined]
        connection = store._connector._inner.engine.raw_connection()  # type: ignore[attr-defined]
        cursor = connection.cursor()

        def run(text: str) -> Any:
            return cursor.execute(statement(text, table.schema, table.name))

        for whose in (None, "bob"):
            if whose is not None:
                cursor.execute("BEGIN")
                cursor.execute("SELECT set_config('buddy.user', '=bob', true)")
            assert run("SELECT count(*) FROM {}.{}").fetchone() == (0,)
            assert run("UPDATE {}.{} SET version = 9").rowcount == 0
            assert run("DELETE FROM {}.{}").rowcount == 0
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            run("INSERT INTO {}.{} (id, user_id) VALUES ('n', 'ann')")
        connection.invalidate()


def test_users_at_once(url: str) -> None:
    """Threads and tasks of many users on one pool see each their own rows."""
    with open_memory_db(url) as db:

        def work(n: int) -> list[str | None]:
            user = f"u{n % 8}"
            db.upsert_memory(MemoryRow({}, str(n), user))
            return [row.user_id for row in db.read_memories(user)]

        with ThreadPoolExecutor(16) as pool:
            for n, seen in enumerate(pool.map(work, range(160))):
                assert set(seen) == {f"u{n % 8}"}

    async def tasks() -> list[list[str | None]]:
        async with open_async_memory_db(url) as db:

            async def work(n: int) -> list[str | None]:
                await db.upsert_memory(MemoryRow({}, f"t{n}", f"u{n % 8}"))
                return [row.user_id for row in await db.read_memories(f"u{n % 8}")]

            return await asyncio.gather(*map(work, range(160)))

    for n, seen in enumerate(asyncio.run(tasks())):
        assert set(seen) == {f"u{n % 8}"}


def test_the_command_tells_what_does_not_hold(
    url: str, postgres_url: str, admin: psycopg.Connection, schema: str
) -> None:
    """It is satisfied with the application's role, and names a superuser, an owner, a table without
    security and a second policy."""

    def told(url: str) -> tuple[int, str]:
        done = CliRunner().invoke(rls_command, [url, "--json"])
        return done.exit_code, " ".join(json.loads(done.output)["problems"])

    assert told(url) == (0, "")
    superuser = f"{postgres_url}?table_name=notes&schema={schema}"
    assert "is a superuser" in told(superuser)[1]
    admin.execute(statement("ALTER TABLE {}.notes OWNER TO {}", schema, schema))
    assert told(url)[0] == 1
    assert "owns it" in told(url)[1]
    admin.execute(statement("ALTER TABLE {}.notes FORCE ROW LEVEL SECURITY", schema))
    admin.execute(statement("CREATE POLICY more ON {}.notes USING (true)", schema))
    assert "1 other permissive" in told(url)[1]
    admin.execute(statement("ALTER TABLE {}.notes_summaries DISABLE ROW LEVEL SECURITY", schema))
    assert "not enabled" in told(url)[1]
    with pytest.raises(ConfigError, match="PostgreSQL's"):
        CliRunner().invoke(rls_command, ["memory://"], catch_exceptions=False)


def test_a_wrong_option(postgres_url: str) -> None:
    """``row_security`` is a bool."""
    with pytest.raises(ConfigError, match="row_security"):
        PostgresMemoryDb("t", None, postgres_url, row_security="yes")  # type: ignore[arg-type]
