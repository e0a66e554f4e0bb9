"""R9, R10, R12: setup, lifecycle, async."""

from __future__ import annotations

import asyncio
import os
import pickle
from collections.abc import Awaitable, Callable
from copy import copy, deepcopy
from typing import Any

from buddy.memory.errors import ClosedError
from buddy.memory.testing.check import check
from buddy.memory.testing.expect import at_once, raises
from buddy.memory.testing.rules.failure import every_call
from buddy.memory.testing.subject import AsyncView, Rows, Trial
from buddy.memory.v2.db.base import AsyncMemoryDb
from buddy.memory.v2.db.schema import MemoryRow


@check("R9")
def create_is_idempotent(trial: Trial) -> None:
    """create() makes the tables, and does nothing to tables that are there."""
    assert trial.db.table_exists() is False
    trial.db.create()
    assert trial.db.table_exists() is True
    row = trial.memories.add("a")
    trial.db.create()
    trial.open().create()
    assert trial.memories.read() == [row]


@check("R9")
def create_is_safe_from_many_at_once(trial: Trial) -> None:
    """create() from many objects and threads at once returns everywhere."""
    dbs = [trial.open() for _ in range(4)]
    for _ in range(3):
        at_once(8, lambda n: dbs[n % 4].create())
        assert trial.db.table_exists() is True
        trial.db.drop_table()


@check("R9")
def upgrade_of_a_current_store_changes_nothing(trial: Trial) -> None:
    """upgrade() makes nothing where nothing is, and leaves a current one alone, at once too."""
    trial.db.upgrade()
    assert trial.db.table_exists() is False
    row = trial.memories.add("a")
    dbs = [trial.open() for _ in range(4)]
    at_once(4, lambda n: dbs[n].upgrade())
    assert trial.memories.read() == [row]


@check("R9", "named")
def any_legal_name_names_a_store(trial: Trial) -> None:
    """A store may have any name that is legal on its backend; each is a store of its own."""
    assert trial.subject.named is not None
    names = [
        "Select",
        "with space",
        'quo"te',
        "o'clock",
        "da-sh",
        "ünïcode",
        "percent%s",
        "semi;colon",
    ]
    for name in names:
        rows = trial.rows(trial.open(lambda name=name: trial.subject.named(name)))  # type: ignore[misc]
        rows.add("a", {"in": name})
        rows.upsert_many([rows.new("a", {"in": name}), rows.new("b")])
        assert rows.ids("ann", 5) == ["b", "a"], name
        assert rows.payload(rows.get("a")) == {"in": name}
        assert rows.delete("b")
    for name in names:
        db = trial.open(lambda name=name: trial.subject.named(name))  # type: ignore[misc]
        assert trial.rows(db).ids() == ["a"], name
        db.drop_table()
        assert db.table_exists() is False


@check("R10", "unreachable")
def a_constructor_does_no_io(trial: Trial) -> None:
    """Opening, showing and closing an object does not need the database to answer."""
    assert trial.subject.unreachable is not None
    db = trial.open(trial.subject.unreachable)
    assert type(db.to_dict()) is dict
    assert repr(db)
    db.close()


@check("R10")
def close_is_idempotent_and_final(trial: Trial) -> None:
    """close() may be repeated, and ends a with block; other calls raise ClosedError after it."""
    trial.memories.add("a")
    db = trial.open()
    raises(ZeroDivisionError, _fail_within, db, trial.rows(db))
    db.close()
    for name, call in every_call(trial, db):
        try:
            result = call()
        except ClosedError:
            continue
        raise AssertionError(f"{name} returned {result!r} after close()")
    assert trial.memories.ids() == ["a"]


def _fail_within(db: Any, rows: Rows) -> None:
    with db:
        assert rows.ids() == ["a"]
        raise ZeroDivisionError


@check("R10")
def one_object_serves_many_threads(trial: Trial) -> None:
    """One object serves any number of threads: nothing is lost, mixed up or refused."""

    def work(n: int) -> list[str]:
        for m in range(5):
            trial.memories.add(f"{n}-{m}", {"n": n}, user_id=f"user {n}")
            trial.summaries.add(f"{n}-{m}", {"n": n}, user_id=f"user {n}")
        assert trial.summaries.count(f"user {n}") == 5
        return trial.memories.ids(f"user {n}", sort="asc")

    for n, ids in enumerate(at_once(8, work)):
        assert ids == [f"{n}-{m}" for m in range(5)]
    assert trial.memories.count() == 40


@check("R10", only="sync")
def a_deep_copy_shares_the_store(trial: Trial) -> None:
    """A copy talks to the same store, and closing it does not close the original."""
    for twin in (deepcopy(trial.db), copy(trial.db)):
        trial.rows(twin).add("a")
        assert trial.memories.ids() == ["a"]
        twin.close()
        raises(ClosedError, twin.ping)
        assert trial.memories.ids() == ["a"]


@check("R10")
def a_pickle_carries_settings_or_refuses(trial: Trial) -> None:
    """A pickle opens the same store again, or is refused with a TypeError that says why."""
    row = trial.memories.add("a")
    db = trial.db.async_db if isinstance(trial.db, AsyncView) else trial.db
    refusal = ""
    try:
        data = pickle.dumps(db)
    except TypeError as error:
        refusal = str(error)
        data = b""
    if not data:
        assert "pickle" in refusal
        return
    twin = trial.view(pickle.loads(data))  # noqa: S301  (made two lines above)
    assert trial.rows(twin).read() == [row]


@check("R10", "forks", only="sync")
def a_forked_child_gets_its_own_connections(trial: Trial) -> None:
    """After a fork, parent and child both work, with the object that the parent used before."""
    if not hasattr(os, "fork"):
        return
    trial.memories.add("before")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            trial.memories.add("child")
            status = 0 if set(trial.memories.ids()) >= {"before", "child"} else 2
        finally:
            os._exit(status)
    trial.memories.add("parent")
    assert os.waitpid(child, 0)[1] == 0
    assert sorted(trial.memories.ids()) == ["before", "child", "parent"]


@check("R12", only="async")
def one_object_works_in_several_loops(trial: Trial) -> None:
    """One object works in several asyncio.run calls in a row."""
    trial.db.create()
    db: AsyncMemoryDb = trial.db.async_db

    async def write(n: int) -> list[str | None]:
        await db.upsert_memory(MemoryRow({"n": n}, f"{n}", "ann"))
        return [row.id async for row in db.iter_memories("ann", "asc")]

    assert [asyncio.run(write(n)) for n in range(3)] == [["0"], ["0", "1"], ["0", "1", "2"]]
    assert trial.memories.ids() == ["2", "1", "0"]


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
            "delete_user": lambda: db.delete_user("ann"),
            "table_exists": db.table_exists,
            "ping": db.ping,
            "clear": db.clear,
        }
        return {name: await turns_during(call()) for name, call in calls.items()}

    # A call that waits for nothing is done in the first turn, or in the second one.
    for name, turns in asyncio.run(turns_by_call()).items():
        assert turns > 2, name
