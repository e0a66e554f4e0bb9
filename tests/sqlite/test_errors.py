"""What goes wrong with a file: the right error, from every method, and nothing lost."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from buddy.memory.errors import (
    AccessError,
    CorruptMemoryError,
    MemoryDbError,
    SchemaError,
    TooLargeError,
    UnavailableError,
)
from buddy.memory.storage.sql import Fault
from buddy.memory.testing import BackendUnderTest, Trial
from buddy.memory.testing.rules.failure import every_call
from buddy.memory.v2.db.schema import MemoryRow
from buddy.memory.v2.db.sqlite import SqliteMemoryDb
from buddy_memory_sqlite.dialect import SqliteDialect


def every_method_raises(db: Any, error: type[MemoryDbError], *but: str) -> None:
    """Call every method, but those named, and see the error with the driver's as its cause."""
    trial = Trial(BackendUnderTest(open=lambda: db))
    for name, call in every_call(trial, db):
        if not name.endswith(but):
            with pytest.raises(error):
                call()
    trial.close()


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """A file of something else raises SchemaError from every method and is not changed."""
    file = tmp_path / "notes.txt"
    content = b"these are my notes, and no database\n" * 100
    file.write_bytes(content)
    every_method_raises(SqliteMemoryDb(db_file=file), SchemaError)
    assert file.read_bytes() == content


def test_a_folder_instead_of_a_file(tmp_path: Path) -> None:
    """A folder in the place of the file raises AccessError from every method."""
    every_method_raises(SqliteMemoryDb(db_file=tmp_path), AccessError)


def test_a_file_in_a_place_that_cannot_be_made(tmp_path: Path) -> None:
    """A path through a file, or to a folder that cannot be made, raises AccessError everywhere."""
    (tmp_path / "file").write_text("")
    every_method_raises(SqliteMemoryDb(db_file=tmp_path / "file" / "a" / "b.db"), AccessError)


def test_a_folder_without_rights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing folder whose parent may not be written raises AccessError from every method."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    if os.geteuid() == 0:
        # Rights do not bind root: another user asks.
        real = os.access
        monkeypatch.setattr(os, "access", lambda p, m: Path(p) != closed and real(p, m))
    db = SqliteMemoryDb(db_file=closed / "deep" / "a.db")
    for call in (db.read_memories, db.ping, db.count_memories, db.table_exists):
        with pytest.raises(AccessError, match="no rights"):
            call()


def test_a_read_only_database_reads_and_refuses_to_write(tmp_path: Path) -> None:
    """A read-only database can be read; every write raises AccessError."""
    file = tmp_path / "a.db"
    with SqliteMemoryDb(db_file=file) as db:
        row = db.upsert_memory(MemoryRow({"a": 1}, "a", "ann"))
    engine = sa.create_engine(f"sqlite:///file:{file}?mode=ro&uri=true")
    db = SqliteMemoryDb(db_engine=engine)
    assert db.read_memories("ann") == [row]
    assert db.read_memory("a") == row
    for write in (
        lambda: db.upsert_memory(MemoryRow({}, "b")),
        lambda: db.upsert_memories([MemoryRow({}, "b")]),
        lambda: db.delete_memory("a"),
        lambda: db.delete_memories(["a"]),
        lambda: db.delete_user("ann"),
        db.clear,
        db.drop_table,
    ):
        with pytest.raises(AccessError):
            write()
    assert db.read_memories() == [row]
    engine.dispose()


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """A write that finds the disk full raises UnavailableError and stores nothing of its call."""
    engine = sa.create_engine(f"sqlite:///{tmp_path}/a.db")

    @sa.event.listens_for(engine, "connect")
    def _limit(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA max_page_count = 40")

    db = SqliteMemoryDb(db_engine=engine)
    db.upsert_memory(MemoryRow({"a": "x" * 1000}, "kept"))
    with pytest.raises(UnavailableError, match="full"):
        db.upsert_memory(MemoryRow({"a": "x" * 1_000_000}, "big"))
    with pytest.raises(UnavailableError, match="full"):
        db.upsert_memories(MemoryRow({"a": "x" * 10_000}, f"m{n}") for n in range(100))
    assert [row.id for row in db.read_memories()] == ["kept"]
    assert db.upsert_memory(MemoryRow({"a": 2}, "kept")).version == 2
    engine.dispose()


def test_a_locked_database_is_unavailable_after_the_timeout(tmp_path: Path) -> None:
    """A database that somebody keeps locked raises UnavailableError; afterwards all works."""
    file = tmp_path / "a.db"
    with SqliteMemoryDb(db_url=f"sqlite:///{file}?timeout=0") as db:
        db.create()
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        for write in (
            lambda: db.upsert_memory(MemoryRow({}, "a")),
            lambda: db.upsert_memories([MemoryRow({}, "a")]),
            lambda: db.delete_memory("a", user_id="ann"),
        ):
            with pytest.raises(UnavailableError, match="locked"):
                write()
        other.execute("ROLLBACK")
        other.close()
        assert db.upsert_memory(MemoryRow({}, "a")).version == 1


def test_a_table_of_somebody_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    """A table with other columns raises SchemaError from every method that needs it."""
    file = tmp_path / "a.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE memory (id TEXT PRIMARY KEY, amount INTEGER)")
        connection.execute("INSERT INTO memory VALUES ('a', 5)")
    db = SqliteMemoryDb(db_file=file)
    trial = Trial(BackendUnderTest(open=lambda: db))
    for name, call in every_call(trial, db):
        # These have nothing to do with that table.
        if name.startswith("summary: ") or " no" in name:
            continue
        if name not in ("ping", "upgrade", "table_exists"):
            with pytest.raises(SchemaError, match=r"not one of ours\. Choose another table_name"):
                raise AssertionError(f"{name} returned {call()!r}")
    assert connection.execute("SELECT amount FROM memory").fetchall() == [(5,)]
    connection.close()


def test_a_row_that_is_no_text_does_not_hide_the_others(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 and values of wrong types make a row unreadable, not the listing."""
    file = tmp_path / "a.db"
    with SqliteMemoryDb(db_file=file) as db:
        db.upsert_memories(MemoryRow({"n": n}, f"r{n}", "ann") for n in range(9))
        with sqlite3.connect(file) as connection:
            for id, change in {
                "r1": "memory = CAST(x'ff00fe' AS TEXT)",
                "r2": "memory = 5",
                "r3": "memory = '[1]'",
                "r4": "created_at = 'yesterday'",
                "r5": "version = 'many'",
                "r6": "memory = '{\"a\": NaN}'",
                "r7": "memory = x'7b7d'",
            }.items():
                connection.execute(f"UPDATE memory SET {change} WHERE id = ?", (id,))  # noqa: S608
        connection.close()
        assert [row.id for row in db.read_memories("ann")] == ["r8", "r7", "r0"]
        assert [row.id for row in db.read_memories("ann", 2, "asc")] == ["r0", "r7"]
        for n in range(1, 7):
            with pytest.raises(CorruptMemoryError, match=f"'r{n}'"):
                db.read_memory(f"r{n}")


def test_too_large_is_said_before_sending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A payload over the limit raises TooLargeError with size and limit, and nothing is stored."""
    monkeypatch.setattr(SqliteDialect, "max_bytes", 1000)
    with SqliteMemoryDb(db_file=tmp_path / "a.db") as db:
        assert db.upsert_memory(MemoryRow({"a": "x" * 990})).version == 1
        for payload in ({"a": "x" * 993}, {"a": "é" * 497}):
            with pytest.raises(TooLargeError) as caught:
                db.upsert_memories([MemoryRow({}, "small"), MemoryRow(payload, "large")])
            assert caught.value.limit == 1000
            assert caught.value.size > 1000
        assert db.count_memories() == 1


def provoke(file: Path, sql: str, **options: Any) -> Exception:
    """Return the error that sqlite3 itself raises."""
    connection = sqlite3.connect(file, **options)
    try:
        connection.execute(sql)
    except sqlite3.Error as error:
        return error
    finally:
        connection.close()
    raise AssertionError("nothing was raised")


CASES: dict[str, tuple[Callable[[Path], Exception], Any]] = {
    "no such table": (lambda f: provoke(f, "SELECT 1 FROM absent"), Fault.NO_TABLE),
    "no such column": (lambda f: provoke(f, "SELECT absent FROM t"), Fault.NO_COLUMN),
    "has no column": (lambda f: provoke(f, "INSERT INTO t (b) VALUES (1)"), Fault.NO_COLUMN),
    "on conflict": (
        lambda f: provoke(f, "INSERT INTO t VALUES (1) ON CONFLICT (a) DO NOTHING"),
        Fault.NO_COLUMN,
    ),
    "cannot open": (lambda f: provoke(f / "x", "SELECT 1"), AccessError),
    "pool": (lambda f: exc.TimeoutError("QueuePool limit"), UnavailableError),
    "anything else of the driver": (lambda f: provoke(f, "SELEC"), UnavailableError),
    "none of the driver's": (lambda f: ValueError("ours"), type(None)),
}


@pytest.mark.parametrize("case", CASES)
def test_the_drivers_errors_are_translated(case: str, tmp_path: Path) -> None:
    """What sqlite3 raises is translated; what others raise is left alone."""
    file = tmp_path / "a.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE t (a)")
    connection.close()
    make, meaning = CASES[case]
    try:
        error = make(file)
    except sqlite3.Error as raised:
        error = raised
    translated = SqliteDialect().translate(error)
    if isinstance(meaning, Fault):
        assert translated is meaning
    else:
        assert isinstance(translated, meaning)


def test_every_error_code_of_sqlite_is_translated() -> None:
    """Each primary result code's own text becomes an error of the tree or a fault."""
    texts = [
        "not authorized", "database is locked", "database table is locked", "out of memory",
        "attempt to write a readonly database", "interrupted", "disk I/O error",
        "database disk image is malformed", "database or disk is full",
        "unable to open database file", "locking protocol", "database schema has changed",
        "string or blob too big", "constraint failed", "datatype mismatch",
        "bad parameter or other API misuse", "large file support is disabled",
        "authorization denied", "column index out of range", "file is not a database",
        "access permission denied",
    ]  # fmt: skip
    for text in texts:
        meaning = SqliteDialect().translate(sqlite3.OperationalError(text))
        assert isinstance(meaning, (MemoryDbError, Fault)), text
