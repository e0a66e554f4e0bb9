"""A statement that fails is not left open: the connection is as good as before."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from buddy.memory.errors import CorruptMemoryError
from buddy.memory.v2.db.schema import MemoryRow
from buddy_memory_sqlite.v2 import AsyncSqliteMemoryDb, SqliteMemoryDb


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A file in which one of two rows has a time that is no text."""
    file = tmp_path / "memory.db"
    with SqliteMemoryDb(db_file=file) as db:
        db.upsert_memories([MemoryRow({"n": 1}, "bad", "ann"), MemoryRow({"n": 2}, "good", "ann")])
    connection = sqlite3.connect(file)
    with connection:
        connection.execute("UPDATE memory SET created_at = CAST(x'c328' AS TEXT) WHERE id = 'bad'")
    connection.close()
    return file


def others(file: Path) -> list[str]:
    """Return the ids that another connection sees, after it has written a row."""
    connection = sqlite3.connect(file, timeout=0.2)
    with connection:
        connection.execute("UPDATE memory SET version = version WHERE id = 'good'")
    ids = [row[0] for row in connection.execute("SELECT id FROM memory ORDER BY seq")]
    connection.close()
    return ids


def test_a_caller_who_keeps_the_error_holds_no_statement(damaged: Path) -> None:
    """Writes after a refused one are seen by other connections, which can write as well."""
    with SqliteMemoryDb(db_file=damaged) as db:
        kept = []
        for _ in range(3):
            with pytest.raises(CorruptMemoryError) as caught:
                db.upsert_memory(MemoryRow({"n": 3}, "bad", "ann"))
            kept.append(caught)
        for n in range(5):
            db.upsert_memory(MemoryRow({"n": n}, f"later {n}", "ann"))
        assert others(damaged) == ["bad", "good", *(f"later {n}" for n in range(5))]
        assert len(kept) == 3


DAMAGES = {
    "a time that is no text": "created_at = CAST(x'c328' AS TEXT)",
    "a time that is a blob": "created_at = x'00'",
    "a time that is none": "updated_at = 'yesterday'",
    "a time that is a number": "created_at = 7",
    "a version that is a text": "version = 'one'",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("place", [0, 1, 7, 20])
def test_a_damaged_row_is_the_error_of_its_own_call(damaged: Path, damage: str, place: int) -> None:
    """Of calls that share a statement, only that of the damaged row fails, and none is written
    twice."""
    connection = sqlite3.connect(damaged)
    with connection:
        connection.execute("UPDATE memory SET created_at = updated_at")
        connection.execute(f"UPDATE memory SET {damage} WHERE id = 'bad'")  # noqa: S608
    connection.close()

    async def main() -> None:
        async with AsyncSqliteMemoryDb(db_file=damaged) as db:
            rows = [MemoryRow({"n": n}, f"r{n}", "ann") for n in range(20)]
            rows.insert(place, MemoryRow({"n": 0}, "bad", "ann"))
            kept = await asyncio.gather(*map(db.upsert_memory, rows), return_exceptions=True)
            del kept[place]
            assert [getattr(row, "version", row) for row in kept] == [1] * 20
            assert len(others(damaged)) == 22

    asyncio.run(main())
