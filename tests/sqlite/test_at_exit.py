"""What is stored last, while the interpreter ends and no thread can be started any more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from buddy.memory import open_memory_db

PROGRAM = """
import asyncio, atexit, sys
from buddy.memory import MemoryRow, open_async_memory_db, open_memory_db
from buddy.memory.transfer import copy

URL = sys.argv[1]


def write():
    async def last():
        async with open_async_memory_db(URL) as db:
            await db.upsert_memories([MemoryRow({}, str(n), "ann") for n in range(3)])
            assert len([row async for row in db.iter_memories("ann", page_size=2)]) == 3
    asyncio.run(last())


def move():
    with open_memory_db("memory://") as source, open_memory_db(URL) as destination:
        source.upsert_memories(MemoryRow({}, str(n), "ann") for n in range(2_500))
        assert copy(source, destination).complete


atexit.register({"write": write, "move": move}[sys.argv[2]])
"""


@pytest.mark.parametrize(("what", "rows"), [("write", 3), ("move", 2_500)])
def test_work_at_the_end(tmp_path: Path, what: str, rows: int) -> None:
    """Asynchronous writes, and copies, of an exit handler are done as at any time."""
    url = f"sqlite:///{tmp_path}/a.db"
    command = [sys.executable, "-W", "error", "-c", PROGRAM, url, what]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    with open_memory_db(url) as db:
        assert db.count_memories() == rows
