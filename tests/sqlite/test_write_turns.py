"""Writers of one process take turns."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from buddy.memory.errors import UnavailableError
from buddy.memory.storage.sync_runner import run
from buddy.memory.v2.db.schema import MemoryRow
from buddy.memory.v2.db.sqlite import SqliteMemoryDb
from buddy_memory_sqlite import write_turns


def write(db: SqliteMemoryDb, name: str) -> None:
    for n in range(30):
        db.upsert_memory(MemoryRow({}, f"{name}-{n}"))
        db.upsert_memories([MemoryRow({}, f"{name}-{n}-{m}") for m in range(3)])
        db.delete_memory(f"{name}-{n}-0")
        db.delete_memories([f"{name}-{n}-1"])


def test_writers_of_one_process_never_find_the_file_locked(tmp_path: Path) -> None:
    """Threads that write through two stores of one file do not need SQLite's waiting at all."""
    url = f"sqlite:///{tmp_path}/memory.db?timeout=0"
    with SqliteMemoryDb(db_url=url) as one, SqliteMemoryDb("two", db_url=url) as two:
        one.create()
        two.create()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(write, [one, two] * 4, "abcdefgh"))
        assert one.count_memories() == two.count_memories() == 4 * 30 * 2


def test_another_process_that_holds_the_file_is_no_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits in vain for a turn asks SQLite, and hears from it."""
    monkeypatch.setattr(write_turns, "SECONDS", 0.01)
    file = tmp_path / "memory.db"
    entered, leave = Event(), Event()
    with SqliteMemoryDb(db_url=f"sqlite:///{file}?timeout=0") as db:
        db.create()

        def hold(_: object) -> None:
            entered.set()
            assert leave.wait(30)

        with ThreadPoolExecutor(1) as pool:
            held = pool.submit(lambda: run(db._rules.store._connector.transaction(hold)))  # type: ignore[attr-defined]
            assert entered.wait(30)
            with pytest.raises(UnavailableError, match="locked"):
                db.upsert_memory(MemoryRow({}, "a"))
            leave.set()
            held.result()
        db.upsert_memory(MemoryRow({}, "a"))
