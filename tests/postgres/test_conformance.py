"""PostgreSQL keeps every rule: v1, v2, async; by URL and on the caller's engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from buddy.memory.db.postgres import PgMemoryDb
from buddy.memory.testing import BackendUnderTest
from buddy.memory.testing.pytest_suite import Conformance
from buddy.memory.v2.db.postgres import AsyncPostgresMemoryDb, PostgresMemoryDb
from tests.client_checks import ClientConformance
from tests.servers.postgres import free_port

SECRET = "hunter2-is-secret"  # noqa: S105


class OnServer(Conformance):
    complete = True
    lacks = frozenset[str]()
    cls: Any

    @pytest.fixture
    def subject(
        self, postgres_url: str, admin: psycopg.Connection, schema: str
    ) -> BackendUnderTest:
        cls = self.cls
        closed = f"postgresql://ann:{SECRET}@127.0.0.1:{free_port()}/memories"

        def corrupt(id: str) -> None:
            table = sql.Identifier(schema, "notes")
            damage = sql.SQL("UPDATE {} SET memory = '[\"no object\"]' WHERE id = %s")
            admin.execute(damage.format(table), (id,))

        return BackendUnderTest(
            open=lambda: cls("notes", schema, postgres_url),
            neighbour=lambda: cls("notes2", schema, postgres_url),
            named=lambda name: cls(name, schema, postgres_url),
            expiring=lambda: cls("notes", schema, postgres_url, expire=3600),
            unreachable=lambda: cls("notes", schema, closed),
            secret=SECRET,
            corrupt=corrupt,
            order_without_clocks=True,
            order_across_users=True,
            forks=True,
        )


class TestV1(ClientConformance, OnServer):
    """What version 1 does otherwise is core's."""

    cls = PgMemoryDb


class TestV2(OnServer):
    cls = PostgresMemoryDb


class TestAsync(OnServer):
    cls = AsyncPostgresMemoryDb
    test_rule_on_many_rows = None


class TestCallersEngine(Conformance):
    """An engine as one makes it, which does not autocommit."""

    complete = True
    lacks = frozenset({"unreachable", "corrupt", "named", "neighbour", "forks"})
    test_rule_on_many_rows = None

    @pytest.fixture
    def subject(self, postgres_url: str, schema: str) -> Iterator[BackendUnderTest]:
        engine = sa.create_engine(postgres_url.replace("postgresql://", "postgresql+psycopg://"))
        yield BackendUnderTest(
            open=lambda: PostgresMemoryDb("notes", schema, db_engine=engine),
            expiring=lambda: PostgresMemoryDb("notes", schema, db_engine=engine, expire=3600),
            order_across_users=True,
        )
        engine.dispose()
