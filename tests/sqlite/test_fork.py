"""Forked processes: no row is lost, no file destroyed, no child hangs."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

PRELUDE = """
import asyncio, os, sys, threading
from buddy.memory import MemoryRow, open_async_memory_db, open_memory_db
url, rounds = sys.argv[1], 60

def tell(text):
    os.write(1, f"{text}\\n".encode())  # Another thread may hold the lock of sys.stdout at a fork.

def write(db, name, count=rounds):
    for n in range(count):
        db.upsert_memory(MemoryRow({"n": n}, f"{name}-{n}", name))
        tell(f"{name}-{n}")

def in_child(work):
    pid = os.fork()
    if not pid:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            tell(f"! {error!r}")
            os._exit(1)
    return pid

def wait(pid):
    assert os.waitpid(pid, 0)[1] == 0
"""

PROGRAMS = {
    "a block that ends in the parent": """
with open_memory_db(url) as db:
    write(db, "before")
    child = in_child(lambda: write(db, "child", 300))
write(open_memory_db(url), "parent", 300)
wait(child)
""",
    "a block that ends in the child": """
def work():
    write(db, "child")
    db.close()
with open_memory_db(url) as db:
    write(db, "before")
    child = in_child(work)
    write(db, "parent", 300)
    wait(child)
    write(db, "later")
""",
    "a parent that exits first": """
db = open_memory_db(url)
write(db, "before")
child = in_child(lambda: write(db, "child", 300))
write(db, "parent", 5)
if child:
    wait(child)
""",
    "eight writing threads": """
db = open_memory_db(url)
write(db, "before")  # Python's own lock of a module that is being imported survives no fork.
threads = [threading.Thread(target=write, args=(db, f"thread{n}", 200)) for n in range(8)]
for thread in threads:
    thread.start()
children = [in_child(lambda n=n: write(db, f"child{n}")) for n in range(3)]
for thread in threads:
    thread.join()
for child in children:
    wait(child)
""",
    "tasks": """
async def write_tasks(db, name):
    async def one(n):
        await db.upsert_memory(MemoryRow({"n": n}, f"{name}-{n}", name))
        tell(f"{name}-{n}")
    await asyncio.gather(*map(one, range(100)))

async def main():
    async with open_async_memory_db(url) as db:
        await write_tasks(db, "before")
        def work():
            asyncio.events._set_running_loop(None)
            asyncio.run(write_tasks(db, "child"))
        child = in_child(work)
        await write_tasks(db, "parent")
        wait(child)
asyncio.run(main())
""",
    "multiprocessing": """
import multiprocessing
db = open_memory_db(url)
write(db, "before")
context = multiprocessing.get_context("fork")
children = [context.Process(target=write, args=(db, f"child{n}")) for n in range(4)]
for child in children:
    child.start()
write(db, "parent", 200)
for child in children:
    child.join()
    assert child.exitcode == 0
""",
}


def run(program: str, url: str) -> list[str]:
    """Run a program that forks; return what it acknowledged."""
    # From Python 3.12 on a fork beside threads warns, which is what is tried here.
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c"]
    done = subprocess.run(
        [*command, PRELUDE + program, url], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout[-300:] + done.stderr
    return done.stdout.split("\n")[:-1]


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_what_either_side_was_told_is_stored_is_there(program: str, tmp_path: Path) -> None:
    """After writes of parent and child the file is sound, and holds every acknowledged row."""
    file = tmp_path / "memory.db"
    acknowledged = run(program, f"sqlite:///{file}")
    connection = sqlite3.connect(file)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    stored = {row[0] for row in connection.execute("SELECT id FROM memory")}
    connection.close()
    assert set(acknowledged) - stored == set()
    assert len(acknowledged) == len(set(acknowledged)) > 100


BUSY = """
import sqlalchemy as sa
from buddy.memory.errors import UnavailableError
from buddy.memory.v2.db.sqlite import SqliteMemoryDb
engine = sa.create_engine(url)
db, other = SqliteMemoryDb(db_engine=engine), open_memory_db(url)
write(db, "before")
def work():
    for one in (db, other, open_memory_db(url)):
        try:
            one.read_memories()
            tell("read")
        except UnavailableError as error:
            tell("in use when this process was forked" in str(error))
with engine.connect() as connection:
    connection.execute(sa.text("SELECT 1"))
    wait(in_child(work))
write(db, "after")
"""


def test_a_file_in_use_is_refused_in_the_child(tmp_path: Path) -> None:
    """Where a connection is in use at the fork, the parent goes on, and the child is told why it
    cannot use that file."""
    told = run(BUSY, f"sqlite:///{tmp_path}/memory.db")
    assert told[60:63] == ["True"] * 3
    assert told[63:] == [f"after-{n}" for n in range(60)]


IN_MEMORY = """
db = open_memory_db("sqlite://")
write(db, "before", 3)
def work():
    write(db, "child", 3)
    assert db.count_memories() == 6
wait(in_child(work))
tell(db.count_memories())
"""


def test_a_child_has_a_copy_of_a_database_in_memory() -> None:
    """A database in memory goes on in both processes, each with its own rows."""
    assert run(IN_MEMORY, "sqlite://")[-1] == "3"
