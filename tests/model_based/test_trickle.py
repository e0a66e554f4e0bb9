"""A server whose answer comes byte by byte, for longer than the timeout."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from buddy.memory import MemoryRow, open_async_memory_db, open_memory_db
from buddy.memory.errors import UnavailableError
from tests.servers.backends import Backend
from tests.servers.trickle import Trickle

ROWS = 10
"""Their answer takes minutes, and the timeout is a second."""


def through(url: str, backend: Backend, proxy: Trickle) -> str:
    """Return the URL that leads through the proxy, with a timeout of a second."""
    url = url.replace(f":{backend.server.port}", f":{proxy.port}")
    if backend.name == "mongo":
        url = url.replace("/?", "/?directConnection=true&")
    return f"{url}{'&' if '?' in url else '?'}timeout=1"


@pytest.mark.parametrize("backend", ["postgres", "mongo", "redis"], indirect=True)
def test_an_answer_that_trickles(backend: Backend, tmp_path: Path) -> None:
    """The whole answer has to come in time, sync and async; the next call works."""
    rows = [MemoryRow({"a": "x" * 500}, f"{n}", "ann") for n in range(ROWS)]
    with Trickle(backend.server.port) as proxy:
        url = through(backend.url(tmp_path), backend, proxy)
        with open_memory_db(url) as db:
            db.upsert_memories(rows)
            assert len(db.read_memories("ann")) == ROWS
            proxy.slow.set()
            with pytest.raises(UnavailableError):
                db.read_memories("ann")
            proxy.slow.clear()
            assert len(db.read_memories("ann")) == ROWS
        asyncio.run(_awaited(url, proxy))


async def _awaited(url: str, proxy: Trickle) -> None:
    async with open_async_memory_db(url) as db:
        assert len(await db.read_memories("ann")) == ROWS
        proxy.slow.set()
        with pytest.raises(UnavailableError):
            await db.read_memories("ann")
        proxy.slow.clear()
        assert len(await db.read_memories("ann")) == ROWS
