"""What fails half-way, is wrong from the start, or happens at once."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from buddy.memory import open_async_memory_db, open_memory_db
from buddy.memory.adapting import join_scope
from buddy.memory.errors import InvalidMemoryError, MemoryDbError
from buddy_memory_claude import BuddySessionStore

KEY: Any = {"project_key": "p", "session_id": "s"}
TITLE: Any = {"type": "custom-title", "customTitle": "T"}
MODE: Any = {"type": "mode", "mode": "plan"}


@contextmanager
def refused(file: Path, event: str, scope: str) -> Iterator[None]:
    """Let the database refuse to insert or delete rows of one scope."""
    with sqlite3.connect(file) as db:
        row = "new" if event == "INSERT" else "old"
        db.execute(
            f"CREATE TRIGGER refused BEFORE {event} ON memory WHEN {row}.user_id = '{scope}' "
            "BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
    db.close()
    try:
        yield
    finally:
        with sqlite3.connect(file) as db:
            db.execute("DROP TRIGGER refused")
        db.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A SQLite file with a table of ours."""
    file = tmp_path / "memory.db"
    with open_memory_db(f"sqlite:///{file}") as db:
        db.create()
    return file


def test_a_batch_that_failed_is_repeated(file: Path) -> None:
    """A batch that failed half-way and is appended again leaves each entry once."""

    async def go() -> None:
        async with BuddySessionStore(f"sqlite:///{file}") as store:
            with refused(file, "INSERT", join_scope("claude", "", "p")):
                for _ in range(2):
                    with pytest.raises(MemoryDbError):
                        await store.append(KEY, [TITLE, MODE, TITLE])
            await store.append(KEY, [TITLE, MODE, TITLE])
            assert await store.load(KEY) == [TITLE, MODE, TITLE]
            await store.append(KEY, [TITLE, MODE, TITLE])
            assert await store.load(KEY) == [TITLE, MODE, TITLE] * 2

    asyncio.run(go())


def test_other_batches_are_no_repetition(file: Path) -> None:
    """A batch that differs from the one that failed takes none of its places."""

    async def go() -> None:
        async with BuddySessionStore(f"sqlite:///{file}") as store:
            with refused(file, "INSERT", join_scope("claude", "", "p")):
                with pytest.raises(MemoryDbError):
                    await store.append(KEY, [TITLE])
            await store.append(KEY, [MODE])
            await store.append(KEY, [TITLE])
            assert await store.load(KEY) == [TITLE, MODE, TITLE]

    asyncio.run(go())


def test_a_deletion_that_failed_is_repeated(file: Path) -> None:
    """A deletion that fails in its second half leaves the session listed, and the next one ends
    it."""
    sub: Any = {**KEY, "subpath": "agents/a"}

    async def go() -> None:
        async with BuddySessionStore(f"sqlite:///{file}") as store:
            await store.append(KEY, [TITLE])
            await store.append(sub, [MODE])
            with refused(file, "DELETE", join_scope("claude", "", "p")):
                with pytest.raises(MemoryDbError):
                    await store.delete(KEY)
            assert [one["session_id"] for one in await store.list_sessions("p")] == ["s"]
            await store.delete(KEY)
            assert await store.list_sessions("p") == []
            assert await store.load(sub) is None

    asyncio.run(go())


def test_an_empty_subpath(url: str) -> None:
    """Deleting by an empty subpath deletes the main transcript alone."""
    sub: Any = {**KEY, "subpath": "agents/a"}

    async def go() -> None:
        async with BuddySessionStore(url) as store:
            await store.append({**KEY, "subpath": ""}, [TITLE])
            await store.append(sub, [MODE])
            assert await store.load(KEY) == [TITLE]
            assert len(await store.list_sessions("p")) == 1
            await store.delete({**KEY, "subpath": ""})
            assert await store.load(KEY) is None
            assert await store.list_sessions("p") == []
            assert await store.load(sub) == [MODE]

    asyncio.run(go())


def test_no_session_id(url: str) -> None:
    """An empty session id is refused, and nothing is stored."""

    async def go() -> None:
        async with BuddySessionStore(url) as store:
            with pytest.raises(InvalidMemoryError, match="session_id"):
                await store.append({"project_key": "p", "session_id": ""}, [TITLE])
            assert await store.forget() == {"memories": 0, "summaries": 0}

    asyncio.run(go())


@pytest.mark.parametrize("user", [None, 5, b"ann", "a\0b", "\ud83d"])
def test_wrong_user(user: Any, tmp_path: Path) -> None:
    """A user that no row can have is refused when the store is made, before anything is opened."""
    with pytest.raises(InvalidMemoryError):
        BuddySessionStore("no such backend", user_id=user)


def test_many_appends_at_once(url: str) -> None:
    """However many append to a session at once, none of them waits for the conflicts of others."""
    written = 0

    async def go() -> None:
        async with open_async_memory_db(url) as db:
            upsert = db.upsert_memory

            async def counted(*args: Any, **options: Any) -> Any:
                nonlocal written
                written += 1
                return await upsert(*args, **options)

            db.upsert_memory = counted  # type: ignore[method-assign]
            store = BuddySessionStore(db)
            titles: Any = [{**TITLE, "customTitle": str(number)} for number in range(50)]
            await asyncio.gather(*(store.append(KEY, [title]) for title in titles))
            assert written <= 50
            assert len(await store.load(KEY) or []) == 50
            [summary] = await store.list_session_summaries("p")
            assert summary["data"]["custom_title"] in {title["customTitle"] for title in titles}

    asyncio.run(go())
