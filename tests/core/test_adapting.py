"""What adapters need: paths as users, and either side of a database."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buddy.memory import MemoryRow, open_async_memory_db, open_memory_db
from buddy.memory.adapting import as_async, as_awaitable, as_sync, join_scope, run, split_scope
from buddy.memory.errors import ConfigError, InvalidMemoryError

SEGMENTS = st.lists(st.text("ab/%2F5é", max_size=4), max_size=4).map(tuple)


@given(SEGMENTS)
def test_a_path_comes_back(segments: tuple[str, ...]) -> None:
    """split_scope returns what join_scope was given, whatever is in it."""
    assert split_scope(join_scope(*segments)) == segments


@given(SEGMENTS, SEGMENTS)
def test_prefixes_are_whole_segments(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    """One scope begins with another exactly when its path does."""
    begins = other[: len(one)] == one
    assert join_scope(*other).startswith(join_scope(*one)) == begins


@pytest.mark.parametrize("user", ["a", "a/b", "%/", "%2f/", "a%/"])
def test_no_path(user: str) -> None:
    """A user that join_scope did not make is refused."""
    with pytest.raises(InvalidMemoryError):
        split_scope(user)


@pytest.mark.parametrize("segment", [None, 1, b"a", ("a",)])
def test_segments_are_texts(segment: Any) -> None:
    """A segment that is no text is refused."""
    with pytest.raises(InvalidMemoryError, match=type(segment).__name__):
        join_scope("a", segment)


def test_as_sync() -> None:
    """A config is opened, a database returned as it is; anything else is refused."""
    with as_sync("memory://") as db:
        assert as_sync(db) is db
    with as_sync({"url": "memory://"}) as db:
        assert db.read_memories() == []
    with pytest.raises(ConfigError):
        as_sync("no-such-backend://")
    wrong: Any = open_async_memory_db("memory://")
    with pytest.raises(TypeError, match="MemoryDb"):
        as_sync(wrong)


def test_as_async() -> None:
    """A synchronous database runs in threads, an asynchronous one is returned as it is."""

    async def go() -> None:
        db = as_async("memory://")
        assert as_async(db) is db
        with open_memory_db("memory://") as sync_db:
            await as_async(sync_db).upsert_memory(MemoryRow({"a": 1}, "m", "ann"))
            assert sync_db.count_memories("ann") == 1
        await db.close()

    asyncio.run(go())
    wrong: Any = 1
    with pytest.raises(TypeError):
        as_async(wrong)


def test_as_awaitable() -> None:
    """A coroutine over a synchronous database ends in one step."""

    async def count(db: Any) -> int:
        await db.upsert_memory(MemoryRow({"a": 1}, "m", "ann"))
        counted: int = await db.count_memories("ann")
        return counted

    with open_memory_db("memory://") as db:
        assert run(count(as_awaitable(db))) == 1
