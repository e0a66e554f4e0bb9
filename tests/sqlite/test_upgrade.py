"""Tables that older software wrote, opened and brought up to date."""

from __future__ import annotations

import ast
import json
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from buddy.memory.errors import CorruptMemoryError, SchemaError
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from buddy.memory.v2.db.sqlite import SqliteMemoryDb

LEGACY = Path(__file__).parents[1] / "fixtures" / "legacy"
STORES = {
    "sqlite_buddy300_v1": "memory",
    "sqlite_buddy300_v2": "user_memories",
    "sqlite_agno184_v2": "user_memories",
}


@pytest.fixture(params=STORES)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str, list[dict[str, Any]]]:
    """A copy of a legacy file, its table, and what it holds."""
    file = tmp_path / "old.db"
    shutil.copy(LEGACY / f"{request.param}.db", file)
    expected = json.loads((LEGACY / f"expected_{request.param}.json").read_text())
    return file, STORES[request.param], expected


def times(file: Path, table: str) -> dict[str, tuple[str, str]]:
    connection = sqlite3.connect(file)
    rows = connection.execute(f"SELECT id, created_at, updated_at FROM {table}").fetchall()  # noqa: S608
    connection.close()
    return {id: (created, updated) for id, created, updated in rows}


def test_an_older_table_is_detected_and_not_changed(old: Any) -> None:
    """Before upgrade() every call raises SchemaError that names it, and nothing changes."""
    file, table, _ = old
    before = file.read_bytes()
    with SqliteMemoryDb(table, db_file=file) as db:
        for call in (
            db.read_memories,
            db.create,
            lambda: db.read_memory("x"),
            lambda: db.upsert_memory(MemoryRow({})),
        ):
            with pytest.raises(SchemaError, match=r"older release.*upgrade\(\)"):
                call()
    assert file.read_bytes() == before


def test_an_upgrade_keeps_every_row(old: Any) -> None:
    """After upgrade() every id, owner, payload and time is there, and all calls work."""
    file, table, expected = old
    before = times(file, table)
    with SqliteMemoryDb(table, db_file=file) as db:
        db.upgrade()
        db.upgrade()
        rows = {row.id: row for row in db.iter_memories()}
        assert len(rows) == len(expected) == len(before)
        for want in expected:
            row = rows[want["id"]]
            assert (row.user_id, row.memory) == (want["user_id"], want["memory"])
            for have, text in zip((row.created_at, row.last_updated), before[row.id], strict=True):
                assert have == datetime.fromisoformat(text).replace(tzinfo=timezone.utc)
            assert row.version == 1
        created = [row.created_at for row in db.read_memories(sort="asc")]
        assert created == sorted(created)
        first = expected[0]
        changed = db.upsert_memory(MemoryRow({"new": 1}, first["id"], first["user_id"]))
        assert changed.version == 2
        db.upsert_summary(SummaryRow({}, "s"))
        db.upsert_memory(MemoryRow({}, "newest"))
        assert [row.id for row in db.read_memories(limit=1)] == ["newest"]


def test_software_that_reads_json_can_still_read(old: Any) -> None:
    """After upgrade() the five old columns still answer the old query, with JSON payloads."""
    file, table, expected = old
    with SqliteMemoryDb(table, db_file=file) as db:
        db.upgrade()
    connection = sqlite3.connect(file)
    query = f"SELECT id, user_id, memory, created_at, updated_at FROM {table} ORDER BY created_at"  # noqa: S608
    rows = {row[0]: row for row in connection.execute(query)}
    connection.close()
    for want in expected:
        assert json.loads(rows[want["id"]][2]) == want["memory"]


def test_software_that_writes_json_can_still_write(old: Any) -> None:
    """After upgrade() a row that older software inserts without times is a row like any other."""
    file, table, _ = old
    with SqliteMemoryDb(table, db_file=file) as db:
        db.upgrade()
        connection = sqlite3.connect(file)
        with connection:
            insert = f"INSERT INTO {table} (id, user_id, memory) VALUES ('theirs', 'ann', '{{}}')"  # noqa: S608
            connection.execute(insert)
        connection.close()
        (row,) = db.read_memories(limit=1)
        assert (row.id, row.user_id, row.memory, row.version) == ("theirs", "ann", {}, 1)
        assert row.created_at is not None
        assert db.upsert_memory(MemoryRow({"a": 1}, "theirs", "ann")).version == 2


def test_two_upgrades_at_once_lose_nothing(old: Any) -> None:
    """upgrade() from several objects at once returns everywhere, with every row there once."""
    file, table, expected = old
    dbs = [SqliteMemoryDb(table, db_file=file) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda db: db.upgrade(), dbs))
    assert dbs[0].count_memories() == len(expected)
    for db in dbs:
        db.close()


def test_an_unreadable_row_is_kept_as_it_stands(tmp_path: Path) -> None:
    """A payload that is neither JSON nor a literal is kept, stays unreadable, and is never run."""
    file = tmp_path / "old.db"
    marker = tmp_path / "executed"
    evil = f"open({str(marker)!r}, 'w')"
    with pytest.raises(ValueError, match="malformed"):
        ast.literal_eval(evil)
    with sqlite3.connect(file) as connection:
        connection.execute(
            "CREATE TABLE memory (id VARCHAR PRIMARY KEY, user_id VARCHAR, memory VARCHAR,"
            " created_at DATETIME, updated_at DATETIME)"
        )
        rows = [("evil", evil), ("torn", '{"a": '), ("list", "[1]"), ("ok", "{'x': None}")]
        connection.executemany("INSERT INTO memory VALUES (?, 'ann', ?, NULL, NULL)", rows)
    connection.close()
    with SqliteMemoryDb(db_file=file) as db:
        db.upgrade()
        assert db.count_memories() == 4
        assert [row.memory for row in db.read_memories()] == [{"x": None}]
        for id in ("evil", "torn", "list"):
            with pytest.raises(CorruptMemoryError):
                db.read_memory(id)
    connection = sqlite3.connect(file)
    assert connection.execute("SELECT memory FROM memory WHERE id = 'evil'").fetchone() == (evil,)
    connection.close()
    assert not marker.exists()


def test_columns_of_others_stop_an_upgrade(tmp_path: Path) -> None:
    """A table with columns that an upgrade would lose is refused and not changed."""
    file = tmp_path / "old.db"
    with sqlite3.connect(file) as connection:
        connection.execute(
            "CREATE TABLE memory (id, user_id, memory, created_at, updated_at, precious)"
        )
    connection.close()
    before = file.read_bytes()
    with SqliteMemoryDb(db_file=file) as db, pytest.raises(SchemaError, match="precious"):
        db.upgrade()
    assert file.read_bytes() == before
