"""BuddySessionStore on every backend: the SDK's own suite, and what it does not try."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from claude_agent_sdk.testing import run_session_store_conformance

from buddy.memory import MemoryRow, open_memory_db
from buddy.memory.testing.assertions import logged
from buddy_memory_claude import BuddySessionStore
from tests.servers.backends import Backend

KEY: Any = {"project_key": "p", "session_id": "s"}


def entry(**fields: Any) -> Any:
    return {"type": "user", **fields}


def test_conformance(backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite that the SDK ships passes, no optional method left out."""
    for name, value in backend.environment.items():
        monkeypatch.setenv(name, value)

    async def go() -> None:
        opened = []

        def make() -> BuddySessionStore:
            opened.append(BuddySessionStore(backend.url(tmp_path)))
            return opened[-1]

        await run_session_store_conformance(make)
        assert len(opened) >= 14
        for store in opened:
            await store.aclose()

    asyncio.run(go())


def test_two_users(url: str) -> None:
    """Two users with the same project and session see nothing of each other."""

    async def go() -> None:
        async with (
            BuddySessionStore(url, user_id="ann") as ann,
            BuddySessionStore(url, user_id="bob") as bob,
        ):
            await ann.append(KEY, [entry(uuid="1")])
            assert await bob.load(KEY) is None
            assert await bob.list_sessions("p") == []
            await bob.append(KEY, [entry(uuid="2")])
            await bob.delete(KEY)
            assert await ann.load(KEY) == [entry(uuid="1")]
            await bob.append(KEY, [entry(uuid="2")])
            assert await ann.forget() == {"memories": 2, "summaries": 0}
            assert await ann.load(KEY) is None
            assert await bob.load(KEY) == [entry(uuid="2")]

    asyncio.run(go())


def test_names_that_look_like_paths(url: str) -> None:
    """Slashes and percent signs in names never lead into another session."""
    pairs = [("a/b", "c"), ("a", "b/c"), ("a%2Fb", "c"), ("a/", "b/c"), ("", "a/b/c")]

    async def go() -> None:
        async with BuddySessionStore(url) as store:
            for project, session in pairs:
                key: Any = {"project_key": project, "session_id": session}
                await store.append(key, [entry(uuid="1", where=[project, session])])
            for project, session in pairs:
                key = {"project_key": project, "session_id": session}
                loaded = await store.load(key)
                assert loaded == [entry(uuid="1", where=[project, session])]
                assert await store.list_subkeys(key) == []

    asyncio.run(go())


def test_an_entry_twice(url: str) -> None:
    """A batch that is appended again leaves each entry with a uuid once, at its place."""

    async def go() -> None:
        async with BuddySessionStore(url) as store:
            batch = [entry(uuid="1"), entry(uuid="2")]
            await store.append(KEY, batch)
            await store.append(KEY, [entry(uuid="3")])
            await store.append(KEY, batch)
            loaded: Any = await store.load(KEY)
            assert [one["uuid"] for one in loaded] == ["1", "2", "3"]

    asyncio.run(go())


WRITER = """
import asyncio, sys
from buddy_memory_claude import BuddySessionStore

async def go(url, writer):
    async with BuddySessionStore(url) as store:
        for number in range(20):
            key = {"project_key": "p", "session_id": "s"}
            await store.append(key, [{"type": "user", "writer": writer, "number": number}])

asyncio.run(go(*sys.argv[1:]))
"""


def test_eight_processes(url: str) -> None:
    """Of eight processes that append to one session nothing is lost, and each keeps its order."""
    command = [sys.executable, "-c", WRITER, url]
    writers = [subprocess.Popen([*command, str(number)]) for number in range(8)]
    assert [writer.wait() for writer in writers] == [0] * 8

    async def go() -> None:
        async with BuddySessionStore(url) as store:
            loaded: Any = await store.load(KEY)
            for writer in range(8):
                own = [one["number"] for one in loaded if one["writer"] == str(writer)]
                assert own == list(range(20))
            assert len(loaded) == 160
            assert len(await store.list_session_summaries("p")) == 1

    asyncio.run(go())


def test_other_rows_stay(url: str) -> None:
    """Memories of agents in the same database are neither shown nor deleted."""
    with open_memory_db(url) as db:
        db.upsert_memory(MemoryRow({"memory": "Likes tea."}, "m", "ann"))

        async def go() -> None:
            async with BuddySessionStore(url, user_id="ann") as store:
                await store.append(KEY, [entry(uuid="1")])
                await store.forget()

        asyncio.run(go())
        assert db.list_users() == ["ann"]


def test_a_row_of_another_program(url: str) -> None:
    """Among the summaries of a project it is skipped with a warning; the sessions are listed."""

    async def go() -> None:
        async with BuddySessionStore(url, user_id="ann") as store:
            await store.append(KEY, [entry(uuid="1")])
            with open_memory_db(url) as db:
                db.upsert_memory(MemoryRow({"memory": "mine"}, "other", "claude/ann/p/"))
            with logged() as warnings:
                assert [one["session_id"] for one in await store.list_sessions("p")] == ["s"]
            assert warnings == ["skipped the row 'other' of the user 'claude/ann/p/': no summary"]
            await store.append({"project_key": "p", "session_id": "other"}, [entry(uuid="2")])
            assert len(await store.list_sessions("p")) == 2

    asyncio.run(go())
