"""Behind PgBouncer in transaction mode, with the default settings."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest
from psycopg import sql

from buddy.memory.errors import AccessError, ConfigError
from buddy.memory.testing import BackendUnderTest
from buddy.memory.testing.assertions import at_once
from buddy.memory.testing.pytest_suite import Conformance
from buddy.memory.v2.db.postgres import AsyncPostgresMemoryDb, PostgresMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from tests.servers.certificate import write_certificate
from tests.servers.pgbouncer import PgBouncer


@pytest.fixture(scope="module")
def bouncer_url(postgres_url: str) -> Iterator[str]:
    bouncer = PgBouncer(postgres_url)
    yield bouncer.url
    bouncer.stop()


class TestBehindBouncer(Conformance):
    complete = True
    lacks = frozenset({"unreachable", "corrupt", "forks"})
    test_rule_on_many_rows = None

    @pytest.fixture
    def subject(self, bouncer_url: str, schema: str) -> BackendUnderTest:
        return BackendUnderTest(
            open=lambda: PostgresMemoryDb("notes", schema, bouncer_url),
            neighbour=lambda: PostgresMemoryDb("notes2", schema, bouncer_url),
            named=lambda name: PostgresMemoryDb(name, schema, bouncer_url),
            expiring=lambda: PostgresMemoryDb("notes", schema, bouncer_url, expire=3600),
            order_across_users=True,
        )


def threshold(db: Any) -> int | None:
    """Return after how many executions psycopg prepares a statement, on a connection of ``db``."""
    with db._rules.store._connector.engine.connect() as connection:
        found: int | None = connection.connection.driver_connection.prepare_threshold
        return found


def test_statements_are_prepared_only_without_a_pooler(
    postgres_url: str, bouncer_url: str, schema: str
) -> None:
    """Prepared statements are for connections that lead straight to a server, unless told."""
    cases: list[tuple[str, bool | None, bool]] = [
        (postgres_url, None, True),
        (postgres_url, False, False),
        (bouncer_url, None, False),
        (bouncer_url, True, True),
    ]
    for url, prepare, prepares in cases:
        with PostgresMemoryDb("notes", schema, url, prepare=prepare) as db:
            assert (threshold(db) is not None) == prepares


def test_two_schemas_share_one_bouncer(
    bouncer_url: str, admin: psycopg.Connection, schema: str
) -> None:
    """Two stores with different schemas, many threads each, never see each other's rows."""
    other = f"{schema}_other"
    dbs = [PostgresMemoryDb("notes", name, bouncer_url) for name in (schema, other)]

    def work(n: int) -> None:
        db, place = dbs[n % 2], n % 2
        for m in range(20):
            db.upsert_memory(MemoryRow({"place": place}, f"{n}-{m}", f"user {n}"))
            db.upsert_memories([MemoryRow({"place": place}, f"{n}-{m}-{k}") for k in range(3)])
            assert [row.id for row in db.read_memories(f"user {n}", limit=1)] == [f"{n}-{m}"]

    at_once(8, work)
    for place, db in enumerate(dbs):
        rows = db.read_memories()
        assert len(rows) == 4 * 20 * 4
        assert {row.memory["place"] for row in rows} == {place}
        db.close()
    admin.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(other)))


def test_async_behind_a_bouncer(bouncer_url: str, schema: str) -> None:
    """The asynchronous class works behind a bouncer as well."""

    async def work() -> int:
        async with AsyncPostgresMemoryDb("notes", schema, bouncer_url) as db:
            await db.create()
            writes = [db.upsert_memory(MemoryRow({"n": n}, str(n), "ann")) for n in range(100)]
            await asyncio.gather(*writes)
            assert len(await db.read_memories("ann")) == 100
            return await db.delete_memories(map(str, range(50)))

    assert asyncio.run(work()) == 50


def test_no_session_state_is_left(bouncer_url: str, admin: psycopg.Connection, schema: str) -> None:
    """Nothing is left in the server's sessions: no prepared statement, no temporary table."""
    with PostgresMemoryDb("notes", schema, bouncer_url) as db:
        for _ in range(10):
            db.upsert_memories([MemoryRow({}, str(n)) for n in range(3)])
            db.read_memories()
            db.delete_memories(["1"])
    with psycopg.connect(bouncer_url, autocommit=True, prepare_threshold=None) as connection:
        for catalog in ("pg_prepared_statements", "pg_cursors"):
            found = connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(catalog)))
            assert found.fetchall() == []
    temporary = admin.execute("SELECT count(*) FROM pg_class WHERE relpersistence = 't'")
    assert temporary.fetchone() == (0,)


# --- TLS, which PgBouncer speaks and the wheel's PostgreSQL does not


@pytest.fixture(scope="module")
def tls(postgres_url: str) -> Iterator[tuple[str, Path]]:
    """The URL of a bouncer that takes nothing but TLS, and the certificate of its authority."""
    with TemporaryDirectory() as folder:
        certificate, key = write_certificate(Path(folder), "127.0.0.1")
        bouncer = PgBouncer(
            postgres_url,
            client_tls_sslmode="require",
            client_tls_cert_file=certificate,
            client_tls_key_file=key,
        )
        yield bouncer.url, certificate
        bouncer.stop()


def test_tls_through_the_url(tls: tuple[str, Path], schema: str) -> None:
    """A certificate verified by the URL's parameters leads to a session that is encrypted."""
    url, certificate = tls
    verified = f"{url}?sslmode=verify-full&sslrootcert={certificate}"
    with PostgresMemoryDb("notes", schema, verified) as db:
        db.upsert_memory(MemoryRow({"a": 1}, "a"))
        assert db.server_info()["TLS"] == "on"

    async def read() -> MemoryRow | None:
        async with AsyncPostgresMemoryDb("notes", schema, verified) as db:
            return await db.read_memory("a")

    assert getattr(asyncio.run(read()), "memory", None) == {"a": 1}


def test_a_certificate_that_is_not_trusted(tls: tuple[str, Path], tmp_path: Path) -> None:
    """Another authority's certificate is an AccessError, and no TLS at all is refused."""
    url, _ = tls
    other, _ = write_certificate(tmp_path, "127.0.0.1")
    strict = PostgresMemoryDb("notes", db_url=f"{url}?sslmode=verify-full&sslrootcert={other}")
    with strict as db, pytest.raises(AccessError, match="certificate"):
        db.ping()
    with (
        PostgresMemoryDb("notes", db_url=f"{url}?sslmode=disable") as db,
        pytest.raises(ConfigError, match="SSL required"),
    ):
        db.ping()
