"""Every test of a memory object runs on two stores, through its sync and its async methods."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from buddy.memory.db.sqlite import SqliteMemoryDb as SqliteMemoryDbV1
from buddy.memory.db.store_backed import StoreBackedMemoryDb as StoredMemoryDbV1
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.v2.db.sqlite import SqliteMemoryDb
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb


@pytest.fixture(params=["in-memory", "sqlite"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """A database of version 2."""
    if request.param == "sqlite":
        opened: Any = SqliteMemoryDb(db_file=tmp_path / "memory.db")
    else:
        opened = StoreBackedMemoryDb(InMemoryStore())
    with opened:
        yield opened


@pytest.fixture(params=["in-memory", "sqlite"])
def db_v1(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """A database of version 1."""
    if request.param == "sqlite":
        opened: Any = SqliteMemoryDbV1(db_file=tmp_path / "memory.db")
    else:
        opened = StoredMemoryDbV1(InMemoryStore())
    with opened:
        yield opened


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Calls a method by name: as it is, or its awaited twin in an event loop of its own."""

    def sync(target: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        return getattr(target, name)(*args, **kwargs)

    def awaited(target: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        return asyncio.run(getattr(target, f"a{name}")(*args, **kwargs))

    return sync if request.param == "sync" else awaited


class Scripted:
    """A chat model that gives prepared answers and notes what it was asked."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[list[dict[str, str]]] = []

    def __call__(self, messages: list[dict[str, str]]) -> str:
        self.asked.append(messages)
        return self.answers.pop(0)


@pytest.fixture
def scripted() -> type[Scripted]:
    """The class of a chat model that gives prepared answers."""
    return Scripted
