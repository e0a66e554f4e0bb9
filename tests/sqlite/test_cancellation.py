"""Awaited calls that are cancelled, and what of them runs on the event loop's own thread."""

from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import get_ident
from typing import Any

import pytest

from buddy.memory.v2.db.schema import MemoryRow
from buddy.memory.v2.db.sqlite import AsyncSqliteMemoryDb


def rows(count: int) -> list[MemoryRow]:
    return [MemoryRow({"x": "y" * 200}, str(n), "ann") for n in range(count)]


def test_a_cancelled_write_is_done_or_not_when_its_caller_goes_on(tmp_path: Path) -> None:
    """What a cancelled bulk write stored is there when CancelledError comes, and nothing later."""

    async def main() -> None:
        async with AsyncSqliteMemoryDb(db_file=tmp_path / "a.db") as db:
            await db.create()
            found: list[tuple[int, int]] = []
            for step in range(8):
                call = asyncio.ensure_future(db.upsert_memories(rows(1_000)))
                for _ in range(3 + step):  # Until the write is under way in a thread.
                    await asyncio.sleep(0.003)
                call.cancel()
                await asyncio.wait([call])
                at_once = await db.count_memories("ann")
                await db.upsert_memory(MemoryRow({}, "last", "ann"))  # Behind all other writes.
                found.append((at_once, await db.count_memories("ann") - 1))
                await db.delete_user("ann")
            assert [now for now, _ in found] == [later for _, later in found]

    asyncio.run(main())


def test_a_file_that_another_holds_keeps_no_cancelled_caller(tmp_path: Path) -> None:
    """A call that waits for another process' lock ends while the lock is still held."""
    file = tmp_path / "a.db"

    async def main() -> None:
        async with AsyncSqliteMemoryDb(db_file=file) as db:
            await db.create()
            with closing(sqlite3.connect(file, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(db.upsert_memory(MemoryRow({}, "a", "ann")), 0.1)
                assert other.in_transaction
                other.execute("ROLLBACK")

    asyncio.run(main())


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="tells open files on Linux only")
def test_a_connection_that_is_in_use_at_the_end_is_closed_later(tmp_path: Path) -> None:
    """What a thread still works with when its database is closed is closed as it comes back."""
    file = tmp_path / "a.db"

    def is_open() -> bool:
        return file in [link.resolve() for link in Path("/proc/self/fd").iterdir()]

    async def main() -> None:
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            async with AsyncSqliteMemoryDb(db_file=file) as db:
                await db.create()
                other.execute("BEGIN IMMEDIATE")
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(db.upsert_memory(MemoryRow({}, "a", "ann")), 0.1)
            other.execute("ROLLBACK")

    asyncio.run(main())  # Ends when its threads have.
    assert not is_open()


def test_calls_that_are_cancelled_before_they_begin_leave_nothing(tmp_path: Path) -> None:
    """Of many calls some are cancelled before a thread takes them; no coroutine is forgotten."""

    async def main() -> None:
        async with AsyncSqliteMemoryDb(db_file=tmp_path / "a.db") as db:
            await db.create()
            for _ in range(5):
                calls = [asyncio.ensure_future(db.read_memory(str(n))) for n in range(200)]
                await asyncio.sleep(0.002)
                for call in calls[::2]:
                    call.cancel()
                done = await asyncio.gather(*calls, return_exceptions=True)
                assert done[1::2] == [None] * 100

    asyncio.run(main())
    gc.collect()  # Coroutines that were never awaited warn now, and warnings are errors.


def test_the_first_calls_ask_the_disk_in_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No call of the operating system on the file or its folder is made by the event loop."""
    loop_thread, blocking = get_ident(), list[str]()

    def watched(name: str) -> Callable[..., Any]:
        plain = getattr(os, name)

        def call(path: Any, *args: Any, **kwargs: Any) -> Any:
            if get_ident() == loop_thread and str(path).startswith(str(tmp_path)):
                blocking.append(f"{name} {path}")
            return plain(path, *args, **kwargs)

        return call

    async def main() -> None:
        async with AsyncSqliteMemoryDb(db_file=tmp_path / "folder" / "a.db") as db:
            for name in ("stat", "access", "mkdir", "open"):
                monkeypatch.setattr(os, name, watched(name))
            assert await db.read_memories() == []
            await db.upsert_memory(MemoryRow({}, "a", "ann"))
            assert await db.count_memories() == 1

    asyncio.run(main())
    assert blocking == []
