"""Entries that no payload of a database holds: each is stored, and none takes others along."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from buddy.memory.errors import InvalidMemoryError, TooLargeError
from buddy_memory_claude import BuddySessionStore
from tests.servers.backends import started

KEY: Any = {"project_key": "p", "session_id": "s"}

DEEP = '{"d":' * 70 + "1" + "}" * 70
LINES = [
    '{"type":"user","uuid":"1","message":"before"}',
    '{"type":"user","uuid":"2","toolUseResult":{"wei":100000000000000000000}}',
    '{"type":"user","uuid":"3","numbers":[NaN,Infinity,-Infinity,1e400]}',
    f'{{"type":"user","uuid":"4","message":{DEEP}}}',
    '{"type":"user","uuid":5}',
    '{"type":"user","uuid":"a\\u0000b"}',
    '{"type":"user","uuid":"\\ud83d"}',
    '{"type":"user","uuid":["x"]}',
    f'{{"type":"user","uuid":"{"u" * 10_000}"}}',
    '{"buddy_memory_json":"7"}',
    '{"buddy_memory_json":{"type":"user"}}',
    '{"type":"mode","\\ud83d":"\\ud83d\\u0000"}',
    '{"type":"assistant","uuid":"9","message":"after"}',
]


def as_text(entry: Any) -> str:
    """Return an entry as a text: in Python, NaN is not equal to itself."""
    return json.dumps(entry, sort_keys=True)


def test_any_json(url: str) -> None:
    """Every line of JSON comes back equal and in its place; each uuid is there once, however often
    it is appended."""

    async def go() -> None:
        async with BuddySessionStore(url) as store:
            entries: Any = [json.loads(line) for line in LINES]
            await store.append(KEY, entries)
            loaded: Any = await store.load(KEY)
            assert [as_text(entry) for entry in loaded] == [as_text(entry) for entry in entries]
            await store.append(KEY, [entry for entry in entries if "uuid" in entry])
            assert len(await store.load(KEY) or []) == len(LINES)
            assert len(await store.list_sessions("p")) == 1

    asyncio.run(go())


def test_too_large(tmp_path: Path) -> None:
    """An entry that is larger than the backend's limit is an error, and the others are stored."""
    with started("mongo") as backend:

        async def go() -> None:
            async with BuddySessionStore(backend.url(tmp_path)) as store:
                large = {"type": "user", "uuid": "2", "message": "x" * 17_000_000}
                entries: Any = [{"type": "user", "uuid": "1"}, large, {"type": "user", "uuid": "3"}]
                with pytest.raises(TooLargeError):
                    await store.append(KEY, entries)
                assert await store.load(KEY) == [entries[0], entries[2]]
                assert len(await store.list_sessions("p")) == 1
                other: Any = {**KEY, "session_id": "other"}
                with pytest.raises(TooLargeError):
                    await store.append(other, [large])  # type: ignore[list-item]
                assert len(await store.list_sessions("p")) == 1

        asyncio.run(go())


def test_no_json() -> None:
    """An entry that is no JSON at all is an error, and the others are stored."""

    async def go() -> None:
        async with BuddySessionStore("memory://") as store:
            entries: Any = [{"type": "a"}, {"type": "b", "value": object()}, {"type": "c"}]
            with pytest.raises(InvalidMemoryError):
                await store.append(KEY, entries)
            assert await store.load(KEY) == [{"type": "a"}, {"type": "c"}]

    asyncio.run(go())
