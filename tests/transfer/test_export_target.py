"""Where an export may be written: never over a database, and for its owner's eyes only."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from buddy.memory import MemoryRow, open_memory_db
from buddy.memory.transfer import export_file
from buddy.memory.transfer.errors import FileError
from buddy.memory.v2.db.sqlite import SqliteMemoryDb
from buddy_memory_lmdb.v2 import LmdbMemoryDb


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database with one row."""
    file = tmp_path / "memory.db"
    with SqliteMemoryDb(db_file=file) as db:
        db.upsert_memory(MemoryRow({"memory": "tea"}, user_id="ann"))
    return file


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
@pytest.mark.parametrize("force", [False, True])
def test_a_file_of_the_database_is_refused(file: Path, suffix: str, force: bool) -> None:
    """The source's own files stay, by whatever name they are reached, also with force."""
    other_name = file.with_name("link")
    with SqliteMemoryDb(db_file=file) as db:
        db.upsert_memory(MemoryRow({"memory": "more"}, user_id="ann"))
        own = Path(f"{file}{suffix}")
        os.link(own, other_name)
        for name in (own, other_name):
            with pytest.raises(FileError, match="belongs to the database"):
                export_file(db, str(name), force=force)
        assert db.count_memories() == 2


def test_the_files_of_an_lmdb_environment_are_refused(tmp_path: Path) -> None:
    """The data file of an LMDB store is no place for its export."""
    with LmdbMemoryDb(tmp_path / "notes") as db:
        db.upsert_memory(MemoryRow({"memory": "tea"}, user_id="ann"))
        with pytest.raises(FileError, match="belongs to the database"):
            export_file(db, str(tmp_path / "notes" / "data.mdb"), force=True)


def test_another_file_is_replaced_by_force_only(file: Path, tmp_path: Path) -> None:
    """What is no export, another database for one, is replaced with force only; an export and an
    empty file are."""
    other = tmp_path / "other.db"
    with open_memory_db(f"sqlite:///{other}") as db:
        db.upsert_memory(MemoryRow({"memory": "kept"}, user_id="bob"))
    letter, empty = tmp_path / "letter.txt", tmp_path / "empty.jsonl"
    letter.write_text("Dear Ann")
    empty.touch()
    with SqliteMemoryDb(db_file=file) as db:
        for name in (other, letter):
            before = name.read_bytes()
            with pytest.raises(FileError, match="--force"):
                export_file(db, str(name))
            assert name.read_bytes() == before
        for _ in range(2):
            assert export_file(db, str(empty)).rows == 1
        assert export_file(db, str(letter), force=True).rows == 1


def test_an_export_is_private(file: Path, tmp_path: Path) -> None:
    """A new export and a new database can be read by their owner alone; one that replaces another
    has its mode."""
    old_mask = os.umask(0o022)
    try:
        new, old = tmp_path / "new.jsonl", tmp_path / "old.jsonl"
        with SqliteMemoryDb(db_file=file) as db:
            export_file(db, str(new))
            export_file(db, str(old))
            old.chmod(0o640)
            export_file(db, str(old))
        made = tmp_path / "made" / "memory.db"
        with SqliteMemoryDb(db_file=made) as db:
            db.upsert_memory(MemoryRow({"memory": "tea"}, user_id="ann"))
            files = [new, old, *made.parent.iterdir()]
            modes = [oct(stat.S_IMODE(path.stat().st_mode)) for path in files]
    finally:
        os.umask(old_mask)
    assert modes == ["0o600", "0o640", *["0o600"] * 3]
