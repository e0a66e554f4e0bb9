"""What goes wrong: the right error, without the password, and nothing half-written."""

from __future__ import annotations

import pickle
import socket
import traceback
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import errors, sql
from psycopg.conninfo import conninfo_to_dict

from buddy.memory import open_memory_db
from buddy.memory.errors import (
    AccessError,
    ConfigError,
    CorruptMemoryError,
    MemoryDbError,
    SchemaError,
    TooLargeError,
    UnavailableError,
)
from buddy.memory.storage.sql import Fault
from buddy.memory.testing.assertions import logged
from buddy.memory.v2.db.postgres import AsyncPostgresMemoryDb, PostgresMemoryDb
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from buddy_memory_postgres.errors import translate
from buddy_memory_postgres.url import parse
from tests.servers.postgres import PASSWORD, free_port

SECRET = "hunter2 is/secret"  # noqa: S105
ENCODED = "hunter2%20is%2Fsecret"


@pytest.fixture
def address(postgres_url: str) -> dict[str, Any]:
    return conninfo_to_dict(postgres_url)


def refused(url: str, error: type[MemoryDbError], *, secret: str = SECRET) -> None:
    """See that reading and writing through ``url`` raise ``error`` and never show the secret."""
    with PostgresMemoryDb("notes", "refused", url) as db:
        shown = [repr(db), str(db.to_dict())]
        with logged() as messages:
            for call in (db.read_memories, db.create, lambda: db.upsert_memory(MemoryRow({}, "a"))):
                with pytest.raises(error) as caught:
                    call()
                assert isinstance(caught.value.__cause__, Exception)
                shown += ["".join(traceback.format_exception(caught.value)), repr(caught.value)]
                shown.append(repr(pickle.loads(pickle.dumps(caught.value))))  # noqa: S301
    for text in shown + messages:
        assert secret not in text
        assert ENCODED not in text


# --- the way to the server


def test_wrong_password(address: dict[str, Any]) -> None:
    """A wrong password is an AccessError."""
    refused(f"postgresql://postgres:{ENCODED}@127.0.0.1:{address['port']}/postgres", AccessError)


def test_no_password(address: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A password that is missing is an AccessError."""
    monkeypatch.setenv("PGPASSFILE", "/dev/null")
    refused(f"postgresql://postgres@127.0.0.1:{address['port']}/postgres", AccessError)


def test_wrong_user(address: dict[str, Any]) -> None:
    """A user that does not exist is an AccessError."""
    refused(f"postgresql://nobody:{ENCODED}@127.0.0.1:{address['port']}/postgres", AccessError)


def test_wrong_database(address: dict[str, Any]) -> None:
    """A database that does not exist is a ConfigError: trying again does not help."""
    url = f"postgresql://postgres:{PASSWORD}@127.0.0.1:{address['port']}/missing"
    refused(url, ConfigError, secret=PASSWORD)


def test_wrong_port() -> None:
    """A port that nobody listens on is an UnavailableError."""
    refused(f"postgresql://postgres:{ENCODED}@127.0.0.1:{free_port()}/db", UnavailableError)


def test_wrong_host() -> None:
    """A host that does not exist is an UnavailableError."""
    refused(f"postgresql://postgres:{ENCODED}@no-such-host.invalid/db", UnavailableError)


def test_a_host_that_does_not_answer() -> None:
    """A server that accepts the connection and says nothing is an UnavailableError in time."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        port = silent.getsockname()[1]
        url = f"postgresql://postgres:{ENCODED}@127.0.0.1:{port}/db?connect_timeout=2"
        with PostgresMemoryDb("notes", db_url=url) as db, pytest.raises(UnavailableError):
            db.ping()


@pytest.mark.parametrize(
    "parameters",
    ["sslmode=require", "sslmode=nonsense", "sslmode=verify-full&sslrootcert=/nowhere/root.crt"],
)
def test_wrong_tls_settings(parameters: str, address: dict[str, Any]) -> None:
    """TLS parameters reach libpq; wrong ones, or such as the server lacks, are ConfigErrors."""
    url = f"postgresql://postgres:{PASSWORD}@127.0.0.1:{address['port']}/postgres?{parameters}"
    refused(url, ConfigError, secret=PASSWORD)


def test_parameters_of_libpq_pass_through(postgres_url: str, schema: str) -> None:
    """Any parameter of libpq in the URL, and in that of the registry, reaches the server."""
    url = f"{postgres_url}?application_name=over%20there&options=-cstatement_timeout%3D12345"
    with open_memory_db(f"{url}&table_name=notes&schema={schema}&pool_size=2") as db:
        db.ping()
        with db._rules.store._connector.engine.connect() as connection:  # type: ignore[attr-defined]
            for name, value in (
                ("application_name", "over there"),
                ("statement_timeout", "12345ms"),
            ):
                assert connection.exec_driver_sql(f"SHOW {name}").scalar() == value
        assert db.to_dict()["schema"] == schema
        assert db.to_dict()["pool_size"] == 2


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "POSTGRESQL"])
def test_every_scheme_names_the_same(scheme: str, postgres_url: str, schema: str) -> None:
    """All usual schemes work, and reach the same rows."""
    url = postgres_url.replace("postgresql://", f"{scheme}://")
    with PostgresMemoryDb("notes", schema, url) as db:
        db.upsert_memory(MemoryRow({}, "a"))
        assert db.count_memories() == 1


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://ann:{ENCODED}@host/db",
        f"postgresql+asyncpg://ann:{ENCODED}@host/db",
        f"postgresql://ann:{ENCODED}@host/db?sslmod=require",
        "postgresql://ann:hunter2?is=secret@host:port/db?a=b",
        "postgresql://ann:hunter2?is#secret@host/db?a=b",
        f"postgresql://ann:{ENCODED}%00@host/db",
        f"postgresql://ann:{ENCODED}%zz@host/db",
        f"postgresql://ann:{ENCODED}@[::1/db",
        "postgresql://host/db?password=hunter2%ss",
        "postgresql://host/db?a=b&sslpassword=hunter2 is secret",
        "no url, but hunter2",
        "",
        None,
        5,
    ],
)
def test_a_url_that_is_none(url: Any) -> None:
    """A URL that cannot be read is a ConfigError at once, which shows no password."""
    for cls in (PostgresMemoryDb, AsyncPostgresMemoryDb):
        with pytest.raises(ConfigError) as caught:
            cls("notes", db_url=url)
        assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_a_misspelt_parameter_is_named() -> None:
    """The error about an unknown parameter says which one it is."""
    with pytest.raises(ConfigError, match="sslmod"):
        parse("postgresql://ann:secret@host/db?sslmod=require")


def test_constructors_do_no_io() -> None:
    """Opening by a URL or by name and options does not need a server."""
    db = PostgresMemoryDb(table_name="memory", db_url="postgresql+psycopg://user:pass@localhost/db")
    assert db.to_dict()["db_url"] == "postgresql+psycopg://user:***@localhost/db"
    db.close()
    with pytest.raises(ConfigError, match="table_name"):
        open_memory_db("postgresql://localhost/db")
    for options in ({"pool_size": 0}, {"pool_size": "many"}, {"prepare": "perhaps"}):
        with pytest.raises(ConfigError, match=next(iter(options))):
            PostgresMemoryDb("memory", db_url="postgresql://localhost/db", **options)  # type: ignore[arg-type]


# --- what the server cannot hold


@pytest.fixture
def db(postgres_url: str, schema: str) -> Iterator[PostgresMemoryDb]:
    with PostgresMemoryDb("notes", schema, postgres_url) as db:
        yield db


def test_a_payload_of_300_megabytes(db: PostgresMemoryDb) -> None:
    """More than jsonb holds is a TooLargeError before anything is sent; nothing is stored."""
    row = MemoryRow({"s": "x" * 300_000_000}, "a")
    for call in (db.upsert_memory, lambda row: db.upsert_memories([MemoryRow({}, "b"), row])):
        with pytest.raises(TooLargeError) as caught:
            call(row)
        assert caught.value.size > 300_000_000 > caught.value.limit
    assert db.table_exists() is False


def test_an_id_that_no_index_holds(db: PostgresMemoryDb) -> None:
    """An id or a user id too long for PostgreSQL's index is a TooLargeError with its limit."""
    from random import Random

    long = "".join(Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=20_000))  # noqa: S311
    for row in (MemoryRow({}, long), MemoryRow({}, "a", long)):
        for call in (db.upsert_memory, lambda row: db.upsert_memories([MemoryRow({}, "b"), row])):
            with pytest.raises(TooLargeError) as caught:
                call(row)
            assert caught.value.size > caught.value.limit > 2000
    assert db.read_memories() == []


def test_times_that_python_has_none_for(
    db: PostgresMemoryDb, admin: psycopg.Connection, schema: str
) -> None:
    """A row with the time "infinity" or before Christ is skipped or named, as any damaged row."""
    times = ["infinity", "-infinity", "20000-01-01", "0044-03-15 BC"]
    db.upsert_memories(MemoryRow({}, str(n), "ann") for n in range(6))
    update = sql.SQL("UPDATE {} SET created_at = %s WHERE id = %s")
    for n, time in enumerate(times):
        admin.execute(update.format(sql.Identifier(schema, "notes")), (time, str(n)))
    with logged() as messages:
        assert [row.id for row in db.read_memories("ann")] == ["5", "4"]
    assert len(messages) == 4
    for n in range(4):
        with pytest.raises(CorruptMemoryError):
            db.read_memory(str(n))
        with pytest.raises(MemoryDbError):
            db.upsert_memory(MemoryRow({"n": 1}, str(n), "ann"))
        assert db.delete_memory(str(n)) is True
    assert db.count_memories() == 2


def test_a_database_that_is_not_unicode(
    postgres_url: str, admin: psycopg.Connection, schema: str
) -> None:
    """A database with another encoding refuses what it cannot hold with a ConfigError."""
    name = sql.Identifier(schema)
    encoding = "ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"
    admin.execute(sql.SQL("CREATE DATABASE {} {}").format(name, sql.SQL(encoding)))
    with PostgresMemoryDb("notes", db_url=f"{postgres_url.rpartition('/')[0]}/{schema}") as db:
        db.upsert_memory(MemoryRow({"s": "é"}, "é"))
        assert db.read_memories()[0].memory == {"s": "é"}
        with pytest.raises(ConfigError, match="UTF8"):
            db.upsert_memory(MemoryRow({"s": "🦉"}, "🦉"))
        assert db.count_memories() == 1
    admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


# --- the table of meanings

MEANINGS: dict[str, type[MemoryDbError] | Fault] = {
    "08006": UnavailableError,
    "0A000": SchemaError,
    "22P05": ConfigError,
    "22P02": SchemaError,
    "23502": SchemaError,
    "23505": SchemaError,
    "25006": UnavailableError,
    "28P01": AccessError,
    "3D000": ConfigError,
    "3F000": Fault.NO_TABLE,
    "40001": Fault.SERIALIZATION,
    "40P01": Fault.SERIALIZATION,
    "42501": AccessError,
    "42601": SchemaError,
    "42703": Fault.NO_COLUMN,
    "42P01": Fault.NO_TABLE,
    "42P06": Fault.EXISTS,
    "42P07": Fault.EXISTS,
    "42710": Fault.EXISTS,
    "42804": SchemaError,
    "53300": UnavailableError,
    "54000": TooLargeError,
    "55P03": UnavailableError,
    "57014": UnavailableError,
    "57P01": UnavailableError,
    "58030": UnavailableError,
    "XX000": UnavailableError,
    "XX001": CorruptMemoryError,
}


@pytest.mark.parametrize("state", MEANINGS)
def test_what_a_state_means(state: str) -> None:
    """SQLSTATEs are translated to what the caller can do about them."""
    meaning = translate(errors.lookup(state)("text"))
    wanted = MEANINGS[state]
    if isinstance(wanted, Fault):
        assert meaning is wanted
    else:
        assert type(meaning) is wanted


def test_every_error_of_the_driver_is_translated() -> None:
    """Every class of error that psycopg or the pool can raise has a meaning; others have none."""
    found = [c for c in vars(errors).values() if isinstance(c, type)]
    classes = [c for c in found if issubclass(c, psycopg.Error)]
    assert len(classes) > 200
    for cls in classes:
        assert isinstance(translate(cls("text")), (MemoryDbError, Fault)), cls
    wrapped = sa.exc.DBAPIError("SELECT 1", None, errors.UndefinedTable("text"))
    assert translate(wrapped) is Fault.NO_TABLE
    assert isinstance(translate(sa.exc.TimeoutError("text")), UnavailableError)
    assert translate(ZeroDivisionError("text")) is None


def test_a_busy_pool_is_unavailable(db: PostgresMemoryDb, postgres_url: str) -> None:
    """When no connection comes free in time the call raises UnavailableError."""
    engine = sa.create_engine(
        postgres_url.replace("postgresql://", "postgresql+psycopg://"),
        pool_size=1,
        max_overflow=0,
        pool_timeout=0.01,
    )
    with engine.connect():
        with PostgresMemoryDb("notes", db_engine=engine) as db, pytest.raises(UnavailableError):
            db.upsert_summary(SummaryRow({}, "a"))
    engine.dispose()


SESSIONS = (
    "DateStyle=German",
    "DateStyle=SQL,DMY",
    "DateStyle=Postgres,MDY",
    "TimeZone=Pacific/Kiritimati",
    "TimeZone=America/New_York",
    "IntervalStyle=iso_8601",
    "bytea_output=escape",
    "standard_conforming_strings=off",
)


@pytest.mark.parametrize("setting", SESSIONS)
def test_settings_of_a_session(postgres_url: str, schema: str, setting: str) -> None:
    """Times from the first to the last day are written and read the same whatever the settings of
    the session are, with rows that are new, updated and have an end."""
    first = datetime(1, 1, 1, tzinfo=timezone.utc)
    last = datetime(9999, 12, 30, 23, 59, 59, 999_999, tzinfo=timezone.utc)
    url = f"{postgres_url}?options={quote(f'-c {setting}')}"
    with PostgresMemoryDb("notes", schema, url) as db:
        old = MemoryRow({"é\\": "\\n"}, "a", "ann", created_at=first, last_updated=first)
        assert db.upsert_memory(old).created_at == first
        new = MemoryRow({}, "b", "ann", created_at=last, last_updated=last)
        (stored,) = db.upsert_memories([new], ttl=3600)
        assert (stored.created_at, stored.last_updated) == (last, last)
        updated = db.upsert_memory(MemoryRow({}, "a", "ann"), if_version=1, ttl=60)
        assert (updated.created_at, updated.version) == (first, 2)
        assert db.read_memories("ann", sort="asc") == [updated, stored]
        assert db.touch_memories(["a"], user_id="ann", ttl=90) == 1
        assert updated.expires_at is not None
        assert stored.expires_at is not None
        assert abs(stored.expires_at - updated.expires_at) > timedelta(minutes=58)
