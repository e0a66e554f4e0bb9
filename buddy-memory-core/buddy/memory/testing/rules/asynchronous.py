"""R12: async."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from buddy.memory.testing.backend_under_test import Trial
from buddy.memory.testing.check import check
from buddy.memory.v2.db.base import AsyncMemoryDb
from buddy.memory.v2.db.schema import MemoryRow


@check("R12", only="async")
def one_object_works_in_several_loops(trial: Trial) -> None:
    """One object works in several asyncio.run calls in a row."""
    trial.db.create()
    db: AsyncMemoryDb = trial.db.async_db

    async def write(n: int) -> list[str | None]:
        await db.upsert_memory(MemoryRow({"n": n}, f"{n}", "ann"))
        # Several at once: what they wait with belongs to the loop that they wait in.
        others = (MemoryRow({}, f"{n}.{m}", "ben") for m in range(20))
        await asyncio.gather(*map(db.upsert_memory, others))
        return [row.id async for row in db.iter_memories("ann", "asc")]

    assert [asyncio.run(write(n)) for n in range(3)] == [["0"], ["0", "1"], ["0", "1", "2"]]
    assert trial.memories.ids("ann") == ["2", "1", "0"]
    assert trial.memories.count("ben") == 60


@check("R12", only="async")
def many_tasks_share_one_object(trial: Trial) -> None:
    """Many tasks at once on one object lose nothing."""
    db: AsyncMemoryDb = trial.db.async_db
    trial.db.create()

    async def write(n: int) -> Any:
        await db.upsert_memory(MemoryRow({"n": n}, str(n), f"user {n % 3}"))
        return await db.read_memory(str(n), user_id=f"user {n % 3}")

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*map(write, range(50)))

    rows = asyncio.run(all_at_once())
    assert [row.memory for row in rows] == [{"n": n} for n in range(50)]
    assert trial.memories.count() == 50


@check("R12", "waits", only="async")
def the_loop_goes_on_during_a_call(trial: Trial) -> None:
    """Other tasks run while a call, whichever it is, waits for the database."""
    db: AsyncMemoryDb = trial.db.async_db

    async def turns_during(call: Awaitable[object]) -> int:
        waiting, turns = asyncio.ensure_future(call), 0
        while not waiting.done():
            await asyncio.sleep(0)
            turns += 1
        await waiting
        return turns

    async def turns_by_call() -> dict[str, int]:
        await db.create()
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "upsert_memories": lambda: db.upsert_memories(
                MemoryRow({}, f"{n}") for n in range(500)
            ),
            "upsert_memory": lambda: db.upsert_memory(MemoryRow({}, "a")),
            "read_memory": lambda: db.read_memory("a"),
            "memory_exists": lambda: db.memory_exists(MemoryRow({}, "a")),
            "read_memories": db.read_memories,
            "iter_memories": lambda: anext(db.iter_memories()),
            "count_memories": db.count_memories,
            "delete_memory": lambda: db.delete_memory("a"),
            "delete_memories": lambda: db.delete_memories(["1", "2"]),
            "read_memories_by_id": lambda: db.read_memories_by_id(["a", "b"]),
            "page_memories": lambda: db.page_memories(limit=2),
            "list_users": db.list_users,
            "change_mark": lambda: db.change_mark("ann"),
            "delete_user": lambda: db.delete_user("ann"),
            "delete_users": lambda: db.delete_users(user_prefix="a"),
            "forget_user": lambda: db.forget_user("ann"),
            "table_exists": db.table_exists,
            "ping": db.ping,
            "clear": db.clear,
        }
        return {name: await turns_during(call()) for name, call in calls.items()}

    # A call that waits for nothing is done in the first turn, or in the second one.
    for name, turns in asyncio.run(turns_by_call()).items():
        assert turns > 2, name
