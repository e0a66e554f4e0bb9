"""SQLite keeps every rule: v1, v2, async; on a file, in memory, on the caller's engine."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from buddy.memory.db.sqlite import SqliteMemoryDb as SqliteMemoryDbV1
from buddy.memory.testing import BackendUnderTest
from buddy.memory.testing.pytest_suite import Conformance
from buddy.memory.v2.db.sqlite import AsyncSqliteMemoryDb, SqliteMemoryDb
from tests.client_checks import ClientConformance

SECRET = "hunter2-is-secret"  # noqa: S105  (that it never shows is what is tested)


def file_subject(cls: Any, folder: Path) -> BackendUnderTest:
    file = folder / "memory.db"

    def corrupt(id: str) -> None:
        with sqlite3.connect(file) as connection:
            connection.execute("UPDATE notes SET memory = '{\"torn' WHERE id = ?", (id,))
        connection.close()

    return BackendUnderTest(
        open=lambda: cls("notes", db_file=file),
        neighbour=lambda: cls("notes2", db_file=file),
        named=lambda name: cls(name, db_file=file),
        expiring=lambda: cls("notes", db_file=file, expire=3600),
        unreachable=lambda: cls(db_url=f"sqlite:///file:/dev/null/x?uri=true&password={SECRET}"),
        secret=SECRET,
        corrupt=corrupt,
        forks=True,
        order_without_clocks=True,
        order_across_users=True,
    )


class OnFile(Conformance):
    complete = True
    lacks = frozenset[str]()


class TestV1(ClientConformance, OnFile):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> BackendUnderTest:
        return file_subject(SqliteMemoryDbV1, tmp_path)


class TestV2(OnFile):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> BackendUnderTest:
        return file_subject(SqliteMemoryDb, tmp_path)


class TestAsync(OnFile):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> BackendUnderTest:
        return file_subject(AsyncSqliteMemoryDb, tmp_path)


class TestCallersEngine(Conformance):
    complete = True
    lacks = frozenset({"unreachable", "corrupt", "named", "neighbour", "forks"})

    @pytest.fixture
    def subject(self, tmp_path: Path) -> Any:
        engine = sa.create_engine(f"sqlite:///{tmp_path / 'memory.db'}")
        yield BackendUnderTest(
            open=lambda: SqliteMemoryDb("notes", db_engine=engine),
            expiring=lambda: SqliteMemoryDb("notes", db_engine=engine, expire=3600),
            order_without_clocks=True,
            order_across_users=True,
        )
        engine.dispose()


class TestInMemory(ClientConformance):
    complete = True
    lacks = frozenset({"unreachable", "corrupt", "named", "neighbour", "forks"})

    @pytest.fixture(params=["sync", "async"])
    def subject(self, request: pytest.FixtureRequest) -> Any:
        engine = SqliteMemoryDb()._rules.store._connector.engine  # type: ignore[attr-defined]
        cls = SqliteMemoryDb if request.param == "sync" else AsyncSqliteMemoryDb
        yield BackendUnderTest(
            open=lambda: cls(db_engine=engine),
            expiring=lambda: cls(db_engine=engine, expire=3600),
            order_without_clocks=True,
            order_across_users=True,
        )
        engine.dispose()
