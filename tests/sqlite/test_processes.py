"""Several processes on one file, and processes that die."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from buddy.memory.storage.sql.writes import WritingStore
from buddy.memory.testing.assertions import clock
from buddy.memory.v2.db.schema import MemoryRow
from buddy.memory.v2.db.sqlite import SqliteMemoryDb

WRITER = """
import sys
from buddy.memory import open_memory_db
from buddy.memory.v2.db.schema import MemoryRow
url, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
db = open_memory_db(url)
for n in range(count):
    row = db.upsert_memory(MemoryRow({"n": n}, f"{name}-{n}", name))
    print(row.id, flush=True)
"""


def start(file: Path, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", WRITER, f"sqlite:///{file}", name, str(count)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def go(writer: subprocess.Popen[str]) -> None:
    assert writer.stdin is not None
    writer.stdin.write("\n")
    writer.stdin.flush()


def test_eight_processes_write_at_once(tmp_path: Path) -> None:
    """8 processes with 200 writes each to a new file give 1,600 rows and no error."""
    file = tmp_path / "new" / "memory.db"
    writers = [start(file, f"p{n}", 200) for n in range(8)]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        go(writer)
    for writer in writers:
        lines = writer.communicate()[0].split()
        assert writer.returncode == 0
        assert len(lines) == 200
    with SqliteMemoryDb(db_file=file) as db:
        assert db.count_memories() == 1600
        for n in range(8):
            ids = [row.id for row in db.read_memories(f"p{n}", sort="asc")]
            assert ids == [f"p{n}-{m}" for m in range(200)]


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    """A writer that is killed loses nothing that it was told is stored."""
    file = tmp_path / "memory.db"
    writer = start(file, "killed", 1_000_000)
    assert writer.stdout is not None
    go(writer)
    acknowledged = [writer.stdout.readline().strip() for _ in range(300)][1:]
    os.kill(writer.pid, signal.SIGKILL)
    acknowledged += writer.communicate()[0].split("\n")[:-1]
    with SqliteMemoryDb(db_file=file) as db:
        stored = {row.id for row in db.iter_memories()}
        assert len(acknowledged) >= 299
        assert set(acknowledged) <= stored
        assert db.upsert_memories([]) == []


def test_a_new_file_is_in_wal_and_commits_synchronously(tmp_path: Path) -> None:
    """A file that we make is in WAL mode, with SQLite's full synchronisation of each commit."""
    file = tmp_path / "memory.db"
    with SqliteMemoryDb(db_file=file) as db:
        db.create()
        connector = db._rules.store._connector  # type: ignore[attr-defined]
        with connector.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_an_existing_database_keeps_its_journal_mode(tmp_path: Path) -> None:
    """A database with tables of others keeps its journal mode, and its tables."""
    file = tmp_path / "theirs.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE theirs (a)")
    connection.close()
    with SqliteMemoryDb(db_file=file) as db:
        db.create()
        db.drop_table()
    connection = sqlite3.connect(file)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    names = connection.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")
    assert names.fetchall() == [("theirs",)]
    connection.close()


def test_a_row_that_goes_between_two_statements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that a clock behind its time may not update, and that another process deletes before it
    is looked at, is a new row."""
    file, past = tmp_path / "a.db", datetime(2020, 1, 1, tzinfo=timezone.utc)
    look = WritingStore._next_time

    def deleted_first(*arguments: Any) -> Any:
        with sqlite3.connect(file) as other:
            other.execute("DELETE FROM memory")
        other.close()
        return look(*arguments)

    monkeypatch.setattr(WritingStore, "_next_time", deleted_first)
    with SqliteMemoryDb(db_file=file) as db:
        db.upsert_memory(MemoryRow({"n": 1}, "a", "ann"))
        with clock(past):
            written = db.upsert_memory(MemoryRow({"n": 2}, "a", "ann"))
        assert written == db.read_memory("a", user_id="ann")
        assert (written.version, written.last_updated) == (1, past)
