"""R21: bursts."""

from __future__ import annotations

import asyncio
from typing import Any

from buddy.memory.testing.assertions import at_once
from buddy.memory.testing.backend_under_test import Trial
from buddy.memory.testing.check import check
from buddy.memory.v2.db.base import AsyncMemoryDb
from buddy.memory.v2.db.schema import MemoryRow


@check("R21", "burst", only="sync")
def a_burst_of_threads_is_served(trial: Trial) -> None:
    """Hundreds of threads that call one object at once each get an answer, and none is refused."""
    rows, number = trial.memories, trial.subject.burst

    def write_and_read(n: int) -> int:
        rows.add("same", {"n": n}, user_id=f"user {n}")
        return int(rows.payload(rows.get("same", user_id=f"user {n}"))["n"])

    assert at_once(number, write_and_read) == list(range(number))
    assert rows.count() == number


@check("R21", "burst", only="async")
def a_burst_of_tasks_is_served(trial: Trial) -> None:
    """Hundreds of tasks that call one object at once each get an answer, and none is refused."""
    db: AsyncMemoryDb = trial.db.async_db
    number = trial.subject.burst

    async def write_and_read(n: int) -> Any:
        await db.upsert_memory(MemoryRow({"n": n}, "same", f"user {n}"))
        return await db.read_memory("same", user_id=f"user {n}")

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*map(write_and_read, range(number)))

    found = asyncio.run(all_at_once())
    assert [row.memory for row in found] == [{"n": n} for n in range(number)]
    assert trial.memories.count() == number
