"""BuddySession on every backend: what the SDK's own tests do not try."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest
from agents.memory import Session, SessionSettings

from buddy.memory import open_memory_db
from buddy.memory.errors import ConfigError
from buddy_memory_openai import BuddySession


def said(text: str) -> Any:
    return {"role": "user", "content": text}


def test_it_is_a_session(url: str) -> None:
    """The SDK takes it for a Session."""
    with open_memory_db(url) as db:
        assert isinstance(BuddySession("s", db), Session)


def test_two_users(url: str) -> None:
    """Two users with the same session id see nothing of each other."""

    async def go() -> None:
        async with (
            BuddySession("s", url, user_id="ann") as ann,
            BuddySession("s", url, user_id="bob") as bob,
        ):
            await ann.add_items([said("ann")])
            assert await bob.get_items() == []
            assert await bob.pop_item() is None
            await bob.add_items([said("bob")])
            await bob.clear_session()
            assert await ann.get_items() == [said("ann")]
            await bob.add_items([said("bob")])
            assert await ann.forget_user() == {"memories": 1, "summaries": 0}
            assert await bob.get_items() == [said("bob")]

    asyncio.run(go())


def test_names_that_look_like_paths(url: str) -> None:
    """Slashes and percent signs in names never lead into another session."""
    pairs = [("a/b", "c"), ("a", "b/c"), ("a%2Fb", "c"), ("", "a/b/c"), ("a/", "b/c")]

    async def go() -> None:
        for user, session in pairs:
            async with BuddySession(session, url, user_id=user) as opened:
                await opened.add_items([said(f"{user} {session}")])
        for user, session in pairs:
            async with BuddySession(session, url, user_id=user) as opened:
                assert await opened.get_items() == [said(f"{user} {session}")]

    asyncio.run(go())


def test_limits(url: str) -> None:
    """The newest items come back, oldest first; the call's limit wins over the session's."""

    async def go() -> None:
        settings = SessionSettings(limit=2)
        async with BuddySession("s", url, session_settings=settings) as session:
            await session.add_items([said(str(number)) for number in range(5)])
            assert await session.get_items() == [said("3"), said("4")]
            assert await session.get_items(3) == [said("2"), said("3"), said("4")]
            assert await session.get_items(0) == []
            assert await session.get_items(99) == [said(str(number)) for number in range(5)]

    asyncio.run(go())


def test_taking_at_once(url: str) -> None:
    """However many take the newest item at once, each item is given to one of them."""

    async def go() -> None:
        async with BuddySession("s", url) as session:
            await session.add_items([said(str(number)) for number in range(10)])
            taken = await asyncio.gather(*(session.pop_item() for _ in range(15)))
            texts = sorted(item["content"] for item in taken if item)  # type: ignore[typeddict-item]
            assert texts == [str(number) for number in range(10)]
            assert taken.count(None) == 5

    asyncio.run(go())


WRITER = """
import asyncio, sys
from buddy_memory_openai import BuddySession

async def go(url, writer):
    async with BuddySession("s", url) as session:
        for number in range(20):
            await session.add_items([{"role": "user", "content": f"{writer} {number}"}])

asyncio.run(go(*sys.argv[1:]))
"""


def test_eight_processes(url: str) -> None:
    """Of eight processes that add to one session nothing is lost, and each keeps its order."""
    command = [sys.executable, "-c", WRITER, url]
    writers = [subprocess.Popen([*command, str(number)]) for number in range(8)]
    assert [writer.wait() for writer in writers] == [0] * 8

    async def go() -> None:
        async with BuddySession("s", url) as session:
            items: Any = await session.get_items()
            assert len(items) == 160
            for writer in range(8):
                own = [i["content"] for i in items if i["content"].startswith(f"{writer} ")]
                assert own == [f"{writer} {number}" for number in range(20)]

    asyncio.run(go())


@pytest.mark.parametrize("limit", [-1, SessionSettings(limit=-1), {"limit": -1}])
def test_negative_limits(url: str, limit: Any) -> None:
    """A negative limit is refused, wherever it is given: no history is not what anybody meant."""

    async def go() -> None:
        if not isinstance(limit, int):
            with pytest.raises(ConfigError, match="limit must not be negative"):
                BuddySession("s", url, session_settings=limit)
        async with BuddySession("s", url) as session:
            session.session_settings = None if isinstance(limit, int) else limit
            with pytest.raises(ConfigError, match="limit must be an int >= 0"):
                await session.get_items(limit if isinstance(limit, int) else None)

    asyncio.run(go())


def test_settings_are_replaced(url: str) -> None:
    """Settings may be replaced later, also by a dict or None, as in the SDK's own sessions."""

    async def go() -> None:
        async with BuddySession("s", url, session_settings={"limit": 2}) as session:
            await session.add_items([said(str(number)) for number in range(5)])
            for settings, number in (({"limit": 1}, 1), (SessionSettings(limit=3), 3), (None, 5)):
                session.session_settings = settings  # type: ignore[assignment]
                assert len(await session.get_items()) == number

    asyncio.run(go())
