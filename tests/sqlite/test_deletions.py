"""Deleting many rows of a user goes in steps, between which others write."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import pytest

from buddy.memory import NOBODY, MemoryRow, open_memory_db
from buddy.memory.storage.sql import Query
from buddy_memory_sqlite.dialect import SqliteDialect
from buddy_memory_sqlite.v2 import SqliteMemoryDb


@pytest.mark.parametrize("number", [99, 100, 101, 350])
def test_another_writer_between_two_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The rows that were there are deleted and counted; what is written after the first step stays,
    and its writer does not wait for the end."""
    monkeypatch.setattr(SqliteDialect, "deleted_rows", 100)
    url = f"sqlite:///{tmp_path}/a.db"
    with open_memory_db(url) as db, open_memory_db(f"{url}?timeout=1") as other:
        db.upsert_memories([MemoryRow({}, f"{n:03}", "ann") for n in range(number)])
        db.upsert_memories([MemoryRow({}, "a", "bob"), MemoryRow({}, "b")])
        assert isinstance(db, SqliteMemoryDb)
        store: Any = db._rules.store
        write, deletions = store._connector.write, count(1)

        async def interrupted(query: Query) -> Any:
            if "DELETE FROM memory " in query.sql and next(deletions) == 3:
                other.upsert_memory(MemoryRow({}, "new", "ann"))
            return await write(query)

        monkeypatch.setattr(store._connector, "write", interrupted)
        deleted = db.delete_user("ann")
        assert deleted["memories"] == number
        assert next(deletions) == 2 + number // 100
        left = ["new"] if number >= 200 else []
        assert [row.id for row in db.read_memories("ann")] == left
        assert (db.count_memories("bob"), db.count_memories(NOBODY)) == (1, 1)
