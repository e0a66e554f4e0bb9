"""What ``server_info`` tells."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from buddy.memory.errors import UnavailableError
from buddy.memory.v2.db.postgres import PostgresMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from tests.servers.postgres import PostgresServer, free_port


@pytest.fixture
def role(admin: psycopg.Connection, schema: str) -> Iterator[str]:
    """A role that may log in, with the password "secret", and nothing else."""
    name = sql.Identifier(schema)
    admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'secret'").format(name))
    yield schema
    admin.execute(sql.SQL("DROP ROLE {}").format(name))


def test_info(postgres_url: str, role: str) -> None:
    """An ordinary role is told version, place, and the settings that decide what survives."""
    address = postgres_url.rpartition("@")[2]
    with PostgresMemoryDb("notes", "some schema", f"postgresql://{role}:secret@{address}") as db:
        info = db.server_info()
        assert not db.table_exists()
    assert int(info.pop("PostgreSQL").split(".")[0]) >= 12
    assert info.pop("fsync") in ("on", "off")
    assert info == {
        "database": "postgres",
        "table": "some schema.notes",
        "access": "read/write",
        "isolation": "read committed",
        "synchronous_commit": "on",
        "TLS": "off",
    }


def test_info_is_of_these_sessions(postgres_url: str) -> None:
    """Settings that the URL makes for its sessions are shown, and the schema that they find."""
    options = {
        "default_transaction_read_only": "on",
        "synchronous_commit": "off",
        "search_path": "information_schema",
    }
    given = "%20".join(f"-c%20{name}%3D{value}" for name, value in options.items())
    with PostgresMemoryDb("notes", None, f"{postgres_url}?options={given}") as db:
        info = db.server_info()
    assert info["access"] == "read only"
    assert info["synchronous_commit"] == "off"
    assert info["table"] == "information_schema.notes"


def test_a_standby() -> None:
    """A standby says what it is, and that it takes no writes."""
    server = PostgresServer()
    with PostgresMemoryDb("notes", "ai", server.url()) as db:
        db.upsert_memory(MemoryRow({}, "a"))
        server.halt()
        (server.data / "standby.signal").touch()
        server.start()
        assert db.server_info()["access"] == "read only, a standby"
        assert db.count_memories() == 1
        with pytest.raises(UnavailableError, match="read-only"):
            db.upsert_memory(MemoryRow({}, "a"))
    server.stop()


def test_without_a_server() -> None:
    """A database that does not answer has no info to tell."""
    with (
        PostgresMemoryDb("notes", "ai", f"postgresql://127.0.0.1:{free_port()}/x") as db,
        pytest.raises(UnavailableError),
    ):
        db.server_info()
