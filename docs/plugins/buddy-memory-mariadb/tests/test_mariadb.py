"""MariaDB keeps every rule: v1, v2 and async, on a real server; and what only MariaDB owes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pymysql
import pytest

from buddy.memory.errors import (
    AccessError,
    ConfigError,
    InvalidMemoryError,
    MemoryDbError,
    OwnerMismatchError,
    TooLargeError,
    UnavailableError,
)
from buddy.memory.storage.sql import Fault
from buddy.memory.testing import Subject
from buddy.memory.testing.pytest_face import Conformance
from buddy.memory.v2.db.schema import MemoryRow
from buddy_memory_mariadb.dialect import MAX_BYTES, MariaDbDialect
from buddy_memory_mariadb.store import PACKET
from buddy_memory_mariadb.v1 import MariaDbMemoryDb as MariaDbMemoryDbV1
from buddy_memory_mariadb.v2 import AsyncMariaDbMemoryDb, MariaDbMemoryDb
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
    lacks = frozenset({"expiring"})
    cls: Any

    @pytest.fixture
    def subject(self, url: str, table: str, admin: pymysql.cursors.Cursor) -> Subject:
        cls = self.cls
        closed = f"mariadb://ann:{PASSWORD}@127.0.0.1:{free_port()}/memories"

        def corrupt(id: str) -> None:
            admin.execute(f"UPDATE {table} SET memory = '{{\"torn' WHERE id = %s", (id,))  # noqa: S608

        return Subject(
            open=lambda: cls(table, url),
            neighbour=lambda: cls(f"{table}2", url),
            named=lambda name: cls(name, url),
            unreachable=lambda: cls(table, closed),
            secret=PASSWORD,
            corrupt=corrupt,
            forks=True,
        )


class TestV1(OnServer):
    cls = MariaDbMemoryDbV1


class TestV2(OnServer):
    cls = MariaDbMemoryDb


class TestAsync(OnServer):
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
        theirs = db.upsert_memory(MemoryRow({}, "theirs", "bob"))
        rows = [MemoryRow({"a": "x" * (PACKET // 3)}, str(n), "ann") for n in range(15)]
        with pytest.raises(OwnerMismatchError):
            db.upsert_memories([*rows, MemoryRow({}, "theirs", "ann")])
        assert db.read_memories() == [theirs]
        assert [row.id for row in db.upsert_memories(rows)] == [row.id for row in rows]


def test_what_does_not_fit(url: str, table: str) -> None:
    """A row over the packet and an id over the index are refused; nothing is stored."""
    with MariaDbMemoryDb(table, url) as db:
        with pytest.raises(TooLargeError):
            db.upsert_memory(MemoryRow({"a": "x" * MAX_BYTES}))
        with pytest.raises(InvalidMemoryError, match="700"):
            db.upsert_memory(MemoryRow({}, "x" * 701))
        assert db.read_memories() == []
        assert db.upsert_memory(MemoryRow({"a": "x" * (MAX_BYTES - 10)}, "🦉" * 700)).version == 1


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


def test_every_error_has_a_meaning() -> None:
    """Whatever the driver raises is translated, and what is not the driver's is not."""
    dialect = MariaDbDialect()
    for code in (*range(1000, 2100), 0):
        meaning = dialect.translate(pymysql.OperationalError(code, "what"))
        assert isinstance(meaning, (MemoryDbError, Fault))
    assert isinstance(dialect.translate(pymysql.InterfaceError()), UnavailableError)
    assert dialect.translate(KeyError()) is None
