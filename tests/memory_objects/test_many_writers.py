"""Many threads, tasks and processes change one session or one memory."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Lock
from typing import Any

import pytest

from buddy.agent import Agent
from buddy.memory.v2.memory import Memory, UserMemory
from tests.servers.postgres import PostgresServer

AT_ONCE = 50


class Told:
    """A model that answers with all that it was told, and counts how often it was asked."""

    def __init__(self) -> None:
        self.calls, self._lock = 0, Lock()

    def __call__(self, messages: list[dict[str, str]]) -> str:
        with self._lock:
            self.calls += 1
        said = sorted({word for m in messages for word in m["content"].split() if "fact" in word})
        return json.dumps({"summary": " ".join(word.strip('".,') for word in said) or "nothing"})


def at_once(work: Callable[[int], Any]) -> list[Any]:
    start = Barrier(AT_ONCE)

    def one(n: int) -> Any:
        start.wait()
        return work(n)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, range(AT_ONCE)))


def agent(memory: Memory) -> Agent:
    return Agent(lambda messages: "noted", memory, enable_session_summaries=True)


def check(memory: Memory, model: Told) -> None:
    summary = memory.get_session_summary("monday", user_id="ada")
    assert summary is not None
    told = {word for word in summary.summary.split() if word.startswith("fact")}
    assert told == {f"fact{n}" for n in range(AT_ONCE)}
    assert len(memory.get_runs("monday", "ada")) == AT_ONCE
    assert model.calls <= AT_ONCE


def test_threads_of_one_session(db: Any) -> None:
    """Every run is kept, and what came while the model was asked is told to it at once."""
    model = Told()
    memory = Memory(db, model)
    at_once(lambda n: agent(memory).run(f"fact{n}", "ada", "monday"))
    check(memory, model)


def test_tasks_of_one_session(db: Any) -> None:
    """The same of tasks of one event loop."""
    model = Told()
    memory = Memory(db, model)

    async def main() -> None:
        await asyncio.gather(
            *[agent(memory).arun(f"fact{n}", "ada", "monday") for n in range(AT_ONCE)]
        )

    asyncio.run(main())
    check(memory, model)


def test_a_cancelled_task_holds_up_no_other(db: Any) -> None:
    """A task that is cancelled while it waits for its turn passes it on."""
    memory = Memory(db, Told())

    async def main() -> None:
        tasks = [
            asyncio.create_task(agent(memory).arun(f"fact{n}", "ada", "monday")) for n in range(9)
        ]
        await asyncio.sleep(0)
        for task in tasks[1::2]:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(one, BaseException) for one in done] == [False, True] * 4 + [False]

    asyncio.run(main())


def test_one_memory_replaced_by_many(db: Any) -> None:
    """Each of the calls that replace one memory at once is done."""
    memory = Memory(db)
    id = memory.add_user_memory(UserMemory("first"), "ada")
    done = at_once(lambda n: memory.replace_user_memory(id, UserMemory(f"no {n}"), "ada"))
    assert done == [id] * AT_ONCE
    assert db.read_memory(id, user_id="ada").version == AT_ONCE + 1

    async def main() -> list[Any]:
        calls = [memory.areplace_user_memory(id, UserMemory("x"), "ada") for _ in range(AT_ONCE)]
        return await asyncio.gather(*calls)

    assert asyncio.run(main()) == [id] * AT_ONCE


PROCESS = """
import sys
from buddy.memory.v2.memory import Memory
url, name = sys.argv[1:]
memory = Memory(url)
sys.stdin.readline()
for n in range(15):
    memory.add_messages("monday", f"{name} said fact{n} of {name}.", "ada")
    memory.create_session_summary("monday", "ada")
"""


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database that several processes reach."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/memory.db"
        return
    server = PostgresServer()
    yield f"{server.url()}?table_name=memories"
    server.stop()


def test_processes_of_one_session(url: str) -> None:
    """Processes that summarise one session at once wait for each other, and none fails."""
    command = [sys.executable, "-W", "error", "-c", PROCESS, url]
    writers = [
        subprocess.Popen([*command, f"p{n}"], stdin=subprocess.PIPE, text=True) for n in range(6)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.close()
    assert [writer.wait(120) for writer in writers] == [0] * 6
    with Memory(url) as memory:
        row = memory.db.read_summary("monday", user_id="ada")
        assert row.version == 6 * 15
