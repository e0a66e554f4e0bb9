"""Tables that older software wrote, opened and brought up to date."""

from __future__ import annotations

import ast
import json
import re
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from buddy.memory.errors import CorruptMemoryError, SchemaError
from buddy.memory.storage.users import NOBODY
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
            db.count_memories,
            db.list_users,
            db.clear,
            db.drop_table,
            lambda: db.read_memory("x"),
            lambda: db.upsert_memory(MemoryRow({})),
            lambda: db.delete_memories(["x"], user_id="ann"),
            lambda: db.delete_user("ann"),
        ):
            with pytest.raises(SchemaError, match=r"older software.*upgrade\(\)"):
                call()
    assert file.read_bytes() == before


def test_an_upgrade_keeps_every_row(old: Any) -> None:
    """After upgrade() every id, owner, payload and time is there, and all calls work."""
    file, table, expected = old
    before = times(file, table)
    with SqliteMemoryDb(table, db_file=file) as db:
        assert db.table_exists()
        db.upgrade()
        db.upgrade()
        rows = {row.id: row for row in db.iter_memories()}
        assert db.list_users() == sorted({row.user_id for row in rows.values() if row.user_id})
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


def test_an_upgraded_table_is_as_a_new_one(old: Any) -> None:
    """After upgrade() the database holds the tables and indexes of one that was just made."""
    file, table, _ = old
    with SqliteMemoryDb(table, db_file=file) as db:
        db.upgrade()
    with SqliteMemoryDb(table, db_file=file.with_name("new.db")) as db:
        db.create()
    assert schema(file) == schema(file.with_name("new.db"))


def schema(file: Path) -> list[tuple[str, str]]:
    """Return the definitions of a file, without the default of stamps: no two tables share it."""
    connection = sqlite3.connect(file)
    rows = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    connection.close()
    return [(name, re.sub("stamp BIGINT DEFAULT [0-9]+", "stamp", sql or "")) for name, sql in rows]


def test_rows_that_are_there_twice_stop_an_upgrade(tmp_path: Path) -> None:
    """A table in which a user has an id twice is refused and not changed; one in which two users
    have it is upgraded."""
    file = tmp_path / "old.db"
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("CREATE TABLE memory (id, user_id, memory, created_at, updated_at)")
    insert = "INSERT INTO memory VALUES ('a', ?, '{}', NULL, NULL)"
    connection.executemany(insert, [("ann",), ("bob",), ("bob",)])
    with SqliteMemoryDb(db_file=file) as db:
        with pytest.raises(SchemaError, match="UNIQUE constraint failed"):
            db.upgrade()
        assert connection.execute("SELECT count(*) FROM memory").fetchone() == (3,)
        connection.execute("DELETE FROM memory WHERE rowid = 3")
        db.upgrade()
        assert [(row.id, row.user_id) for row in db.read_memories(sort="asc")] == [
            ("a", "ann"),
            ("a", "bob"),
        ]
    connection.close()


def test_users_of_every_form_are_kept(tmp_path: Path) -> None:
    """Nobody, an empty user and one that begins with U+0001 are three users after upgrade(), and
    each row has a stamp of its own."""
    file = tmp_path / "old.db"
    users = [None, "", "\x01", "\x01\x01", "ann"]
    with sqlite3.connect(file) as connection:
        connection.execute(
            "CREATE TABLE memory (id VARCHAR PRIMARY KEY, user_id VARCHAR, memory VARCHAR,"
            " created_at DATETIME, updated_at DATETIME)"
        )
        rows = [(str(n), user, '{"a": 1}') for n, user in enumerate(users)]
        rows += [(f"torn {n}", user, '{"a"') for n, user in enumerate(users)]
        connection.executemany("INSERT INTO memory VALUES (?, ?, ?, NULL, NULL)", rows)
    connection.close()
    with SqliteMemoryDb(db_file=file) as db:
        db.upgrade()
        read = {row.id: row.user_id for row in db.read_memories()}
        assert read == {str(n): user for n, user in enumerate(users)}
        assert db.list_users() == sorted(user for user in users if user is not None)
        for n, user in enumerate(users):
            with pytest.raises(CorruptMemoryError):
                db.read_memory(f"torn {n}", user_id=NOBODY if user is None else user)
    connection = sqlite3.connect(file)
    stamps = {row[0] for row in connection.execute("SELECT stamp FROM memory")}
    connection.close()
    assert len(stamps) == 2 * len(users)
