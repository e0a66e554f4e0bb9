"""MariaDB keeps every rule: v1, v2 and async, on a real server; and what only MariaDB owes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pymysql
import pytest
from sqlalchemy import exc

from buddy.memory.errors import (
    AccessError,
    ConfigError,
    ConflictError,
    InvalidMemoryError,
    MemoryDbError,
    SchemaError,
    TooLargeError,
    UnavailableError,
)
from buddy.memory.storage.sql import Fault
from buddy.memory.testing import BackendUnderTest
from buddy.memory.testing.assertions import at_once
from buddy.memory.testing.pytest_suite import Conformance
from buddy.memory.v2.db.schema import MemoryRow
from buddy_memory_mariadb.client import open_engine
from buddy_memory_mariadb.errors import MAX_BYTES, MAX_KEY, translate
from buddy_memory_mariadb.store import PACKET
from buddy_memory_mariadb.url import parse
from buddy_memory_mariadb.v1 import MariaDbMemoryDb as MariaDbMemoryDbV1
from buddy_memory_mariadb.v2 import AsyncMariaDbMemoryDb, MariaDbMemoryDb
from tests.client_checks import ClientConformance
from tests.damage_checks import BAD, check_damaged, fill
from tests.servers.mariadb import PASSWORD, MariaDbServer
from tests.servers.postgres import free_port

_numbers = count()


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDbServer]:
    server = MariaDbServer()
    yield server
    server.stop()


@pytest.fixture
def admin(server: MariaDbServer) -> Iterator[pymysql.cursors.Cursor]:
    with server.connect() as connection, connection.cursor() as cursor:
        yield cursor


@pytest.fixture
def url(server: MariaDbServer) -> str:
    return f"mariadb://app:{PASSWORD}@127.0.0.1:{server.port}/memories"


@pytest.fixture
def table(server: MariaDbServer) -> Iterator[str]:
    """The name of a table that does not exist yet; whatever begins so is dropped."""
    name = f"notes{next(_numbers)}x"
    yield name
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW TABLES LIKE %s", (f"{name}%",))
        for (found,) in cursor.fetchall():
            cursor.execute(f"DROP TABLE `{found}`")


class OnServer(Conformance):
    complete = True
    cls: Any

    @pytest.fixture
    def subject(self, url: str, table: str, admin: pymysql.cursors.Cursor) -> BackendUnderTest:
        cls = self.cls
        closed = f"mariadb://ann:{PASSWORD}@127.0.0.1:{free_port()}/memories"

        def corrupt(id: str) -> None:
            admin.execute(f"UPDATE {table} SET memory = '{{\"torn' WHERE id = %s", (id,))  # noqa: S608

        return BackendUnderTest(
            open=lambda: cls(table, url),
            neighbour=lambda: cls(f"{table}2", url),
            named=lambda name: cls(name, url),
            expiring=lambda: cls(table, url, expire=3600),
            unreachable=lambda: cls(table, closed),
            secret=PASSWORD,
            corrupt=corrupt,
            order_without_clocks=True,
            order_across_users=True,
            forks=True,
        )


class TestV1(ClientConformance, OnServer):
    cls = MariaDbMemoryDbV1


class TestV2(OnServer):
    cls = MariaDbMemoryDb


class TestAsync(ClientConformance, OnServer):
    """The synchronous class in threads."""

    cls = AsyncMariaDbMemoryDb


def test_a_restart_of_the_server(url: str, table: str, server: MariaDbServer) -> None:
    """After a restart of the server, the next call works."""
    with MariaDbMemoryDb(table, url) as db:
        row = db.upsert_memory(MemoryRow({"a": 1}))
        server.halt()
        with pytest.raises(UnavailableError):
            db.read_memories()
        server.start()
        assert db.read_memories() == [row]


def test_a_bulk_write_over_one_packet(url: str, table: str) -> None:
    """A bulk write takes more than the server takes in one packet, and stays one transaction."""
    with MariaDbMemoryDb(table, url) as db:
        kept = db.upsert_memory(MemoryRow({}, "kept", "bob"))
        rows = [MemoryRow({"a": "x" * (PACKET // 3)}, str(n), "ann") for n in range(15)]
        with pytest.raises(InvalidMemoryError):
            db.upsert_memories([*rows, MemoryRow({}, "x" * (MAX_KEY + 1), "ann")])
        assert db.read_memories() == [kept]
        assert [row.id for row in db.upsert_memories(rows)] == [row.id for row in rows]


def test_what_does_not_fit(url: str, table: str) -> None:
    """A row over the packet and an id over the index are refused; nothing is stored."""
    with MariaDbMemoryDb(table, url) as db:
        with pytest.raises(TooLargeError):
            db.upsert_memory(MemoryRow({"a": "x" * MAX_BYTES}))
        for long in (MemoryRow({}, "x" * (MAX_KEY + 1)), MemoryRow({}, "a", "x" * (MAX_KEY + 1))):
            with pytest.raises(InvalidMemoryError, match="2048"):
                db.upsert_memory(long)
        assert db.read_memories() == []
        longest = "🦉" * (MAX_KEY // 4)
        row = db.upsert_memory(MemoryRow({"a": "x" * (MAX_BYTES - 10)}, longest, longest))
        assert db.read_memories(user_prefix="🦉") == [row]
        assert db.list_users() == [longest]


def test_a_server_that_takes_less(url: str, table: str, server: MariaDbServer) -> None:
    """A server's own limit is the limit that the error names; bulk writes keep within it."""
    server.halt()
    server.start(f"--max-allowed-packet={2**21}")
    try:
        with MariaDbMemoryDb(table, url) as db:
            with pytest.raises(TooLargeError) as raised:
                db.upsert_memory(MemoryRow({"a": "x" * 3_000_000}))
            assert raised.value.limit == 2**21 - 1
            rows = [MemoryRow({"a": "x" * 400_000}, str(n), "ann") for n in range(10)]
            assert [row.id for row in db.upsert_memories(rows)] == [row.id for row in rows]
            with pytest.raises(TooLargeError):
                db.upsert_memories([MemoryRow({}, "new"), MemoryRow({"a": "x" * 3_000_000})])
            assert db.count_memories() == 10
    finally:
        server.halt()
        server.start()


def test_users_are_compared_byte_by_byte(url: str, table: str) -> None:
    """Users that differ in case, accent or a blank are others, and come in code-point order."""
    users = ["", "\x01", " ", "A", "a", "a ", "b", "e", "\u00e9", "\uffff", "🦉"]
    with MariaDbMemoryDb(table, url) as db:
        db.upsert_memories(MemoryRow({}, "same", user) for user in [*users[::-1], None])
        assert db.list_users() == users
        assert db.list_users(prefix="a") == ["a", "a "]
        assert [db.count_memories(user) for user in users] == [1] * len(users)


def test_an_earlier_layout(url: str, table: str, admin: pymysql.cursors.Cursor) -> None:
    """A table in which an id was unique among all users is refused by every call, and kept."""
    admin.execute(
        f"CREATE TABLE {table} (seq BIGINT PRIMARY KEY AUTO_INCREMENT, id VARCHAR(700) UNIQUE, "
        "user_id VARCHAR(700), memory LONGTEXT, created_at DATETIME(6), updated_at DATETIME(6), "
        "version BIGINT NOT NULL DEFAULT 1, UNIQUE (user_id, seq)) CHARSET latin1"
    )
    admin.execute(f"INSERT INTO {table} (id, memory) VALUES ('a', '{{}}')")  # noqa: S608
    with MariaDbMemoryDb(table, url) as db:
        calls: list[Callable[[], object]] = [
            db.create,
            db.table_exists,
            db.read_memories,
            db.count_memories,
            db.list_users,
            lambda: db.upsert_memory(MemoryRow({}, "a")),
            lambda: db.delete_memory("a", user_id="ann"),
            db.clear,
            db.drop_table,
        ]
        for call in calls:
            with pytest.raises(SchemaError, match="earlier buddy-memory"):
                call()
    admin.execute(f"SELECT count(*) FROM {table}")  # noqa: S608
    assert admin.fetchone() == (1,)


def test_first_writes_with_a_version(url: str, table: str) -> None:
    """Of many first writes of one row with if_version=0 at once, one is done."""
    with MariaDbMemoryDb(table, url) as db:
        db.create()

        def write(n: int) -> None:
            try:
                db.upsert_memory(MemoryRow({"n": n}, "a", "ann"), if_version=0)
                done.append(n)
            except ConflictError:
                pass

        done: list[int] = []
        at_once(16, write)
        (row,) = db.read_memories("ann")
        assert (row.version, [row.memory["n"]]) == (1, done)


def test_who_may_not(url: str, table: str) -> None:
    """A wrong password and somebody else's database are AccessErrors that do not show it."""
    for wrong in (url.replace("app:", "nobody:"), url.replace("/memories", "/mysql")):
        with MariaDbMemoryDb(table, wrong) as db, pytest.raises(AccessError) as caught:
            db.read_memories()
        assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("wrong", [None, "mysql://h/d", "mariadb://host", "mariadb://h:x/d", "x"])
def test_a_wrong_url(wrong: str | None) -> None:
    """What names no database of MariaDB is a ConfigError, without any I/O."""
    with pytest.raises(ConfigError):
        MariaDbMemoryDb("notes", wrong)


def test_an_empty_name(url: str) -> None:
    """A table without a name is a ConfigError, without any I/O."""
    with pytest.raises(ConfigError, match="table_name"):
        MariaDbMemoryDb("", url)


def test_every_error_has_a_meaning() -> None:
    """Whatever the driver raises is translated, and what is not the driver's is not."""
    for code in (*range(1000, 2100), 0):
        meaning = translate(pymysql.OperationalError(code, "what"))
        assert isinstance(meaning, (MemoryDbError, Fault))
    assert isinstance(translate(pymysql.InterfaceError()), UnavailableError)
    assert translate(KeyError()) is None


def test_a_session_without_strict_mode(url: str, table: str) -> None:
    """What is too long for a column is refused and never cut, however the server is set up."""
    lax = f"{url}?sql_mode=NO_ENGINE_SUBSTITUTION"
    with MariaDbMemoryDb(table, lax) as db:
        db.create()
        engine, release = open_engine(parse(lax))
        with engine.connect() as connection, pytest.raises(exc.DataError, match="too long"):
            connection.exec_driver_sql(
                f"INSERT INTO {table} (id, user_id, memory, created_at, updated_at, seq) "  # noqa: S608
                f"VALUES (repeat('x', {MAX_KEY + 1}), 'ann', '', now(), now(), 1)"
            )
        release()


TIMES = ["'0001-01-01'", "'9999-12-31 23:59:59.999999'"]
DAMAGES = {
    "id": ["''", "x'ff'", "x'00'"],
    "user_id": ["x'ff'", "x'01'", "'zed'"],
    "memory": ["''", "'['", "'[]'", "'null'", """'{"x": 1e400}'""", "repeat('[', 5000)"],
    "created_at": TIMES,
    "updated_at": TIMES,
    "expires_at": TIMES,
    "version": ["0", "-1", "9223372036854775807", "9007199254740993"],
    "vector": ["''", "x'ff'", "repeat('x', 2000)"],
    "stamp": ["0", "-1", "9223372036854775807", "-9223372036854775808"],
}


@pytest.mark.parametrize(
    ("column", "value"), [(column, value) for column in DAMAGES for value in DAMAGES[column]]
)
def test_a_damaged_row_harms_no_other(
    column: str, value: str, url: str, table: str, admin: pymysql.cursors.Cursor, tmp_path: Path
) -> None:
    """Whatever stands in one column of one row, the others are read, written, found, exported and
    deleted, and every error is one of ours."""
    with MariaDbMemoryDb(table, url) as db:
        fill(db)
        admin.execute(f"UPDATE {table} SET {column} = {value} WHERE id = '{BAD}'")  # noqa: S608
        check_damaged(db, tmp_path)
