"""The suite for any BaseStore: LangGraph's own stores, and BuddyStore on every backend."""

from __future__ import annotations

import asyncio
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph.store.postgres import PostgresStore
from langgraph.store.sqlite import SqliteStore

from buddy_memory_langgraph import BuddyStore
from buddy_memory_langgraph.testing import CHECKS, Report, run_store_conformance
from tests.servers.backends import Backend, started

_numbers = count()


def run(make_store: Any, asynchronous: bool) -> Report:
    return asyncio.run(run_store_conformance(make_store, asynchronous=asynchronous))


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_buddy_store(
    asynchronous: bool, backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BuddyStore passes every check, on every backend and through both sides."""
    for name, value in backend.environment.items():
        monkeypatch.setenv(name, value)
    report = run(lambda: BuddyStore(backend.url(tmp_path)), asynchronous)
    assert report.failed == {}
    assert len(report.passed) == len(CHECKS) >= 26


def test_in_memory_store() -> None:
    """LangGraph's own store in memory forgets when an item was made, and lists emptied namespaces;
    its values can be changed in place."""
    report = run(InMemoryStore, True)
    assert set(report.failed) == {"list_all", "update_replaces", "values_are_copies"}


def test_sqlite_store(tmp_path: Path) -> None:
    """LangGraph's own SQLite store has naive times, and takes no nested filter."""

    def make() -> Any:
        opened = SqliteStore.from_conn_string(str(tmp_path / f"{next(_numbers)}.db"))
        return _SetUp(opened)

    report = run(make, False)
    assert set(report.failed) == {"filter_by_equality", "put_and_get"}


def test_postgres_store() -> None:
    """LangGraph's own PostgreSQL store compares numbers as text, and takes no nested filter."""
    with started("postgres") as backend:

        def make() -> Any:
            name = f"d{next(_numbers)}"
            with psycopg.connect(backend.server.url(), autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")
            return _SetUp(PostgresStore.from_conn_string(backend.server.url(database=name)))

        report = run(make, False)
    assert set(report.failed) == {"filter_by_equality", "filter_by_operators"}


class _SetUp:
    """A store of LangGraph's as an asynchronous context manager, with its tables."""

    def __init__(self, opened: Any) -> None:
        self._opened = opened

    async def __aenter__(self) -> BaseStore:
        store: BaseStore = self._opened.__enter__()
        store.setup()  # type: ignore[attr-defined]
        return store

    async def __aexit__(self, *error: Any) -> None:
        self._opened.__exit__(*error)


class Forgetful(InMemoryStore):
    """A store that answers every batch as if it were empty."""

    def batch(self, ops: Any) -> list[Any]:
        return [[] if hasattr(op, "limit") else None for op in ops]

    async def abatch(self, ops: Any) -> list[Any]:
        return self.batch(ops)


def test_broken_store() -> None:
    """A store that keeps nothing fails nearly everywhere, and each failure has its words."""
    report = run(Forgetful, True)
    assert set(report.passed) <= {"wrong_namespaces", "empty_batch"}
    assert [name for name, text in report.failed.items() if text.endswith(": ")] == []
