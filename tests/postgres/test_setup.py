"""Making tables: at once, without rights, under any name, beside what is there, and old ones."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from buddy.memory.errors import AccessError, ConfigError, SchemaError
from buddy.memory.storage.record import Kind
from buddy.memory.storage.sync_runner import run
from buddy.memory.storage.users import NOBODY
from buddy.memory.testing import BackendUnderTest, Trial
from buddy.memory.testing.assertions import at_once
from buddy.memory.testing.rules.failure import every_call
from buddy.memory.v2.db.postgres import PostgresMemoryDb
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from tests.servers.postgres import PASSWORD

FOLDER = Path(__file__).parent
LEGACY = FOLDER.parent / "fixtures" / "legacy" / "postgres_pg_dump_inserts.sql"


def statement(text: str, *names: str) -> sql.Composed:
    """Return SQL with quoted names in the place of its braces."""
    return sql.SQL(text).format(*map(sql.Identifier, names))  # type: ignore[arg-type]


@pytest.fixture
def db(postgres_url: str, schema: str) -> Iterator[PostgresMemoryDb]:
    with PostgresMemoryDb("notes", schema, postgres_url) as db:
        yield db


@pytest.fixture
def role(admin: psycopg.Connection, schema: str) -> Iterator[str]:
    """A role without any right, named after the schema."""
    admin.execute(statement(f"CREATE ROLE {{}} LOGIN PASSWORD '{PASSWORD}'", schema))
    yield schema
    admin.execute(statement("DROP OWNED BY {}", schema))
    admin.execute(statement("DROP ROLE {}", schema))


@pytest.fixture
def as_role(postgres_url: str, role: str, schema: str) -> Iterator[PostgresMemoryDb]:
    """The store of the schema, opened by a role without any right."""
    info = psycopg.conninfo.conninfo_to_dict(postgres_url)
    url = f"postgresql://{role}:{PASSWORD}@{info['host']}:{info['port']}/{info['dbname']}"
    with PostgresMemoryDb("notes", schema, url) as db:
        yield db


# --- at once


def test_sixteen_processes_create_at_once(
    postgres_url: str, admin: psycopg.Connection, schema: str
) -> None:
    """create() from 16 processes at once, 50 times on nothing at all, returns everywhere."""
    script = FOLDER / "create_at_once.py"
    command = [sys.executable, str(script), postgres_url, schema, "16", "50"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    tables = admin.execute(
        "SELECT count(*) FROM pg_tables WHERE schemaname LIKE %s", (f"{schema}\\_%",)
    ).fetchone()
    assert tables == (100,)
    for number in range(50):
        admin.execute(statement("DROP SCHEMA {} CASCADE", f"{schema}_{number}"))


def test_first_writes_at_once(postgres_url: str, schema: str) -> None:
    """First writes from many threads on an empty database all succeed."""
    dbs = [PostgresMemoryDb("notes", schema, postgres_url) for _ in range(8)]
    at_once(8, lambda n: dbs[n].upsert_memory(MemoryRow({"n": n}, str(n))))
    assert dbs[0].count_memories() == 8
    for db in dbs:
        db.close()


# --- rights


def test_no_rights_to_define_are_needed_where_the_tables_are(
    db: PostgresMemoryDb, as_role: PostgresMemoryDb, admin: psycopg.Connection, schema: str
) -> None:
    """A role that may only read and write rows can do everything on tables that exist."""
    db.create()
    admin.execute(statement("GRANT USAGE ON SCHEMA {} TO {}", schema, schema))
    admin.execute(
        statement(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {} TO {}", schema, schema
        )
    )
    as_role.create()
    as_role.upgrade()
    as_role.upsert_memory(MemoryRow({"a": 1}, "a", "ann"))
    as_role.upsert_memories([MemoryRow({"a": 2}, "a", "ann"), MemoryRow({}, "b", "ann")])
    as_role.upsert_summary(SummaryRow({}, "s", "ann"))
    assert [row.id for row in as_role.read_memories("ann")] == ["b", "a"]
    assert as_role.delete_user("ann") == {"memories": 2, "summaries": 1}
    assert as_role.clear() is True


@pytest.mark.parametrize("given", ["no schema", "an empty schema", "one of two tables"])
def test_refused_definitions_come_with_the_statements_to_run(
    given: str,
    db: PostgresMemoryDb,
    as_role: PostgresMemoryDb,
    admin: psycopg.Connection,
    schema: str,
) -> None:
    """What create() and the first write may not do, somebody else can run as the error says."""
    if given != "no schema":
        admin.execute(statement("CREATE SCHEMA {}", schema))
    if given == "one of two tables":
        db.create()
        admin.execute(statement("DROP TABLE {}.notes_summaries", schema))
    for call in (as_role.create, lambda: as_role.upsert_summary(SummaryRow({}, "s"))):
        with pytest.raises(AccessError) as caught:
            call()
    assert caught.value.statement is not None
    assert caught.value.statement in str(caught.value)
    assert ("CREATE SCHEMA" in caught.value.statement) == (given == "no schema")
    admin.execute(caught.value.statement.encode())
    as_role.create()
    as_role.upsert_memory(MemoryRow({"a": 1}, "a"))
    as_role.upsert_summary(SummaryRow({}, "s"))


def test_refused_rows_are_an_access_error(db: PostgresMemoryDb, as_role: PostgresMemoryDb) -> None:
    """A role that may not even read is refused, and told nothing that looks like emptiness."""
    db.upsert_memory(MemoryRow({"a": 1}, "a"))
    for call in (as_role.read_memories, as_role.count_memories, as_role.clear):
        with pytest.raises(AccessError):
            call()
    with pytest.raises(AccessError):
        as_role.upsert_memory(MemoryRow({"a": 1}, "a"))


# --- names


@pytest.mark.parametrize("tail", ["da-sh", 'quo"te', "do.t", "percent%s", "co:lon", "ünï", "UP"])
def test_any_schema_name(
    postgres_url: str, admin: psycopg.Connection, schema: str, tail: str
) -> None:
    """Any legal name names a schema."""
    name = f"{schema} {tail}"
    with PostgresMemoryDb("no:tes %s", name, postgres_url) as db:
        db.upsert_memory(MemoryRow({"a": 1}, "a"))
        db.upsert_memories([MemoryRow({"a": 1}, "b")])
        db.upgrade()
        assert db.count_memories() == 2
    assert admin.execute(
        "SELECT count(*) FROM pg_tables WHERE schemaname = %s", (name,)
    ).fetchone() == (2,)
    admin.execute(statement("DROP SCHEMA {} CASCADE", name))


def test_no_schema_is_the_default_one_of_the_connection(
    postgres_url: str, admin: psycopg.Connection, schema: str
) -> None:
    """schema=None leaves the choice to the connection's search_path."""
    admin.execute(statement("CREATE SCHEMA {}", schema))
    url = f"{postgres_url}?options=-csearch_path%3D{schema}"
    with PostgresMemoryDb("notes", None, url) as db:
        assert db.table_exists() is False
        db.upsert_memory(MemoryRow({"a": 1}, "a"))
        assert db.table_exists() is True
    with PostgresMemoryDb("notes", schema, postgres_url) as db:
        assert db.count_memories() == 1


def test_long_names_stay_apart(postgres_url: str, schema: str) -> None:
    """Names of up to 63 bytes that begin alike name stores that share nothing."""
    names = ["x" * 62 + "1", "x" * 62 + "2", "x" * 54, "ü" * 31]
    for name in names:
        with PostgresMemoryDb(name, schema, postgres_url) as db:
            db.upsert_memory(MemoryRow({"in": name}, "a"))
            db.upsert_summary(SummaryRow({"in": name}, "a"))
    for name in names:
        with PostgresMemoryDb(name, schema, postgres_url) as db:
            assert [row.memory for row in db.read_memories()] == [{"in": name}]
            assert [row.summary for row in db.read_summaries()] == [{"in": name}]


@pytest.mark.parametrize("name", ["x" * 64, "ü" * 32, "", "nul\0", "\ud800", None, 5])
def test_a_name_that_postgresql_would_change_is_refused(name: Any, postgres_url: str) -> None:
    """A name that is too long, empty or no text is a ConfigError, as table and as schema."""
    with pytest.raises(ConfigError):
        PostgresMemoryDb(name, db_url=postgres_url)
    if name is not None:
        with pytest.raises(ConfigError):
            PostgresMemoryDb("notes", name, postgres_url)


def test_an_empty_name_in_a_url(postgres_url: str) -> None:
    """A table without a name is a ConfigError from the URL, too; nothing is asked of a server."""
    with pytest.raises(ConfigError, match="table_name"):
        PostgresMemoryDb.from_url(f"{postgres_url}?table_name=")


# --- what is there already


@pytest.mark.parametrize(
    "definition",
    [
        "CREATE TABLE {}.notes (id serial PRIMARY KEY, name text)",
        "CREATE TABLE {}.notes (seq int, id int PRIMARY KEY, user_id int, memory text, "
        "created_at text, updated_at text, version int)",
        "CREATE VIEW {}.notes AS SELECT 1 AS id",
    ],
)
def test_a_table_of_somebody_else(
    definition: str, db: PostgresMemoryDb, admin: psycopg.Connection, schema: str
) -> None:
    """A table that is not ours raises SchemaError from every method that would use its rows."""
    admin.execute(statement("CREATE SCHEMA {}", schema))
    admin.execute(statement(definition, schema))
    trial = Trial(BackendUnderTest(open=lambda: db))
    calls = {name: call for name, call in every_call(trial, db) if name.startswith("memory: ")}
    if "version int" in definition:  # Without a row, only what names an id can tell.
        calls = {name: calls[name] for name in ("memory: upsert", "memory: get", "memory: delete")}
    else:
        calls["create"] = db.create
    for name, call in calls.items():
        if not name.endswith(("none", "count")):
            with pytest.raises(SchemaError):
                call()


def test_something_else_of_that_name(
    db: PostgresMemoryDb, admin: psycopg.Connection, schema: str
) -> None:
    """A sequence in the place of the table is a SchemaError, not an endless race."""
    admin.execute(statement("CREATE SCHEMA {}", schema))
    admin.execute(statement("CREATE SEQUENCE {}.notes", schema))
    with pytest.raises(SchemaError, match="notes"):
        db.create()


def test_the_newest_of_a_user_come_without_sorting(
    db: PostgresMemoryDb, admin: psycopg.Connection, schema: str
) -> None:
    """An index serves "newest N of this user", and of all users, in both tables."""
    db.upsert_memories(MemoryRow({}, str(n), f"user {n % 100}") for n in range(2000))
    db.upsert_summaries(SummaryRow({}, str(n), f"user {n % 100}") for n in range(2000))
    admin.execute("ANALYZE")
    for table, kind in (("notes", Kind.MEMORY), ("notes_summaries", Kind.SUMMARY)):
        for where in ("WHERE user_id = 'user 7'", ""):
            query = f"SELECT {kind.value} FROM {{}}.{{}} {where} ORDER BY seq DESC LIMIT 3"  # noqa: S608
            plan = "\n".join(
                line for (line,) in admin.execute(statement(f"EXPLAIN {query}", schema, table))
            )
            assert "Sort" not in plan
            assert "Index Scan Backward" in plan


PARTITIONED = """CREATE TABLE {}.{} (
    seq bigint GENERATED BY DEFAULT AS IDENTITY NOT NULL,
    id text NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    memory jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    expires_at timestamptz,
    vector bytea,
    PRIMARY KEY (id, user_id),
    UNIQUE (user_id, seq)
) PARTITION BY HASH (user_id)"""


@pytest.fixture
def partitioned(admin: psycopg.Connection, schema: str) -> None:
    """A table of memories that an operator has partitioned by user."""
    admin.execute(statement("CREATE SCHEMA {}", schema))
    admin.execute(statement(PARTITIONED, schema, "notes"))
    for rest in range(4):
        part = f"FOR VALUES WITH (MODULUS 4, REMAINDER {rest})"
        create = f"CREATE TABLE {{}}.{{}} PARTITION OF {{}}.{{}} {part}"
        admin.execute(statement(create, schema, f"notes{rest}", schema, "notes"))
    admin.execute(statement("CREATE INDEX ON {}.notes (seq)", schema))


def test_a_table_partitioned_by_user(
    partitioned: None, db: PostgresMemoryDb, admin: psycopg.Connection, schema: str
) -> None:
    """Every call works on a table that is partitioned by user, and the order is the same."""
    users = [f"u{n}" for n in range(20)]
    rows = db.upsert_memories(MemoryRow({"n": n}, "a", user) for n, user in enumerate(users))
    db.create()
    assert [row.user_id for row in db.read_memories(sort="asc")] == users
    assert db.list_users(prefix="u1") == ["u1", *[f"u1{n}" for n in range(10)]]
    newest = db.read_memories(user_prefix="u1", limit=2)
    assert [row.user_id for row in newest] == ["u19", "u18"]
    mark = db.change_mark("u3")
    assert db.upsert_memory(MemoryRow({"n": 0}, "a", "u3"), if_version=1).version == 2
    assert db.change_mark("u3") != mark
    assert db.read_memory("a", user_id="u4") == rows[4]
    assert db.read_memories_by_id(["a", "b"], user_id="u5") == [rows[5], None]
    assert db.delete_memories(["a"], user_id="u6") == 1
    assert db.delete_users(user_prefix="u1")["memories"] == 11
    assert db.count_memories() == 8
    store = db._rules.store
    kept: Any = run(store.get(Kind.MEMORY, "u7", "a"))
    assert run(store.rewrite(Kind.MEMORY, "u7", "a", kept.stamp, payload={"n": 1}, vector=b"v"))
    parts = admin.execute(statement("SELECT count(*) FROM ONLY {}.notes", schema)).fetchone()
    assert parts == (0,)


# --- older tables


@pytest.fixture
def legacy(admin: psycopg.Connection, schema: str) -> list[tuple[Any, ...]]:
    """The tables of other software in the schema of the test; returns rows of agent_memory."""
    script = LEGACY.read_text().replace("SCHEMA ai;", f"SCHEMA {schema};")
    script = script.replace(" ai.", f" {schema}.")
    kept = [line for line in script.splitlines() if "search_path" not in line]
    admin.execute("\n".join(kept).encode())
    admin.execute("RESET ALL")
    return admin.execute(
        statement(
            "SELECT id, user_id, memory, created_at FROM {}.agent_memory ORDER BY created_at, id",
            schema,
        )
    ).fetchall()


def test_an_older_table_is_detected(legacy: list[Any], postgres_url: str, schema: str) -> None:
    """An older table raises SchemaError that names upgrade(), from create, reads and writes."""
    with PostgresMemoryDb("agent_memory", schema, postgres_url) as db:
        calls: list[Callable[[], object]] = [
            db.create,
            db.read_memories,
            lambda: db.upsert_memory(MemoryRow({}, "a")),
            lambda: db.upsert_memories([MemoryRow({}, "a")]),
        ]
        for call in calls:
            with pytest.raises(SchemaError, match=r"upgrade\(\)"):
                call()


def test_upgrade_loses_nothing(
    legacy: list[Any], postgres_url: str, admin: psycopg.Connection, schema: str
) -> None:
    """upgrade(), also many times at once, keeps every row, its times and the order."""
    odd = {"s": "\x1b0041", "n": 1}
    admin.execute(
        statement("UPDATE {}.agent_memory SET memory = %s WHERE id = %s", schema),
        (psycopg.types.json.Jsonb(odd), legacy[0][0]),
    )
    dbs = [PostgresMemoryDb("agent_memory", schema, postgres_url) for _ in range(4)]
    at_once(4, lambda n: dbs[n].upgrade())
    rows = dbs[0].read_memories(sort="asc")
    assert len(rows) == len(legacy) == 200
    for row, (id, user_id, memory, created_at) in zip(rows, legacy, strict=True):
        assert (row.id, row.user_id, row.created_at) == (id, user_id, created_at)
        assert row.memory == (odd if id == legacy[0][0] else memory)
        assert (row.last_updated, row.version) == (created_at, 1)
    dbs[1].create()
    dbs[1].upsert_memory(MemoryRow({"new": 1}, "new", "ann"))
    assert [row.id for row in dbs[2].read_memories(limit=2)] == ["new", legacy[-1][0]]
    assert dbs[2].upsert_memory(MemoryRow({}, legacy[5][0], legacy[5][1])).version == 2
    for db in dbs:
        db.close()


def test_users_of_an_older_table(
    legacy: list[Any], postgres_url: str, admin: psycopg.Connection, schema: str
) -> None:
    """Rows without a user, and users of any name, keep theirs through an upgrade."""
    users = [None, "", "\x01", "\x01x", "é", "Z"]
    insert = "INSERT INTO {}.agent_memory (id, user_id, memory) VALUES (%s, %s, '{{}}')"
    for n, user in enumerate(users):
        admin.execute(statement(insert, schema), (f"new {n}", user))
    with PostgresMemoryDb("agent_memory", schema, postgres_url) as db:
        db.upgrade()
        found = db.read_memories_by_id([f"new {n}" for n in range(len(users))])
        assert [row and row.user_id for row in found] == users
        assert db.count_memories(NOBODY) == 1 + sum(user is None for _, user, *_ in legacy)
        assert db.upsert_memory(MemoryRow({}, legacy[0][0], "another user")).version == 1


EARLIER = """CREATE TABLE {}.notes (seq bigint GENERATED BY DEFAULT AS IDENTITY UNIQUE,
    id text PRIMARY KEY, user_id text, memory jsonb NOT NULL, created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL, version bigint NOT NULL DEFAULT 1, UNIQUE (user_id, seq))"""


def test_an_earlier_layout(db: PostgresMemoryDb, admin: psycopg.Connection, schema: str) -> None:
    """A table in which an id was unique among all users is refused by every call, and kept."""
    admin.execute(statement("CREATE SCHEMA {}", schema))
    admin.execute(statement(EARLIER, schema))
    values = "VALUES ('a', '{{}}', now(), now())"
    insert = f"INSERT INTO {{}}.notes (id, memory, created_at, updated_at) {values}"
    admin.execute(statement(insert, schema))
    trial = Trial(BackendUnderTest(open=lambda: db))
    calls = {name: call for name, call in every_call(trial, db) if name.startswith("memory: ")}
    calls |= {"create": db.create, "upgrade": db.upgrade, "drop": db.drop_table}
    calls |= {"exists": db.table_exists, "users": db.list_users, "clear": db.clear}
    calls |= {"mark": lambda: db.change_mark("ann"), "page": db.page_memories}
    calls |= {"delete": lambda: db.delete_memory("a", user_id="ann")}
    for name, call in calls.items():
        if not name.endswith("none"):
            with pytest.raises(SchemaError, match="earlier buddy-memory"):
                call()
    assert admin.execute(statement("SELECT count(*) FROM {}.notes", schema)).fetchone() == (1,)


def test_a_refused_upgrade_comes_with_the_statements_to_run(
    legacy: list[Any],
    postgres_url: str,
    as_role: PostgresMemoryDb,
    admin: psycopg.Connection,
    schema: str,
) -> None:
    """Who may not change the table is told what its owner has to run; nothing is half done."""
    url = as_role.to_dict()["db_url"].replace("***", PASSWORD)
    with PostgresMemoryDb("user_memories", schema, url) as db:
        with pytest.raises(AccessError) as caught:
            db.upgrade()
        with PostgresMemoryDb("user_memories", schema, postgres_url) as owners:
            with pytest.raises(SchemaError):
                owners.read_memories()
            assert caught.value.statement is not None
            admin.execute(caught.value.statement.encode())
            assert owners.count_memories() == 200
            assert len(owners.read_memories()) == 200
