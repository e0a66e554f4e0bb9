"""Names of tables: refused where they are none, or where SQLite takes two of them for one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from buddy.memory import open_memory_db
from buddy.memory.errors import AccessError, ConfigError, SchemaError
from buddy.memory.testing import BackendUnderTest, Trial
from buddy.memory.testing.rules.failure import every_call
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from buddy.memory.v2.db.sqlite import SqliteMemoryDb


@pytest.mark.parametrize("name", ["", "a\0b", "\ud800", None, 5])
def test_what_is_no_name_is_refused(name: Any, tmp_path: Path) -> None:
    """A name that no table can have is a ConfigError of the constructor, and no file is made."""
    with pytest.raises(ConfigError, match="table_name must be"):
        SqliteMemoryDb(name, db_file=tmp_path / "a.db")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_name_in_a_url_is_refused(tmp_path: Path) -> None:
    """?table_name= is a ConfigError and not the default name."""
    with pytest.raises(ConfigError, match="table_name"):
        open_memory_db(f"sqlite:///{tmp_path}/a.db?table_name=")


@pytest.mark.parametrize("name", ["sqlite_memory", "SQLite_Memory"])
def test_a_name_that_sqlite_reserves_is_refused(name: str) -> None:
    """Names that begin with sqlite_ are a ConfigError of the constructor."""
    with pytest.raises(ConfigError, match="reserves"):
        SqliteMemoryDb(name)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("memory", "Memory"),
        ("Notes", "notes"),
        ("notes", "NOTES_SUMMARIES"),
        ("Notes_Summaries", "notes"),
    ],
)
def test_names_that_differ_in_case_only(first: str, second: str, tmp_path: Path) -> None:
    """A store whose table SQLite would take for another store's raises SchemaError from every
    call, and the other store keeps its rows."""
    file = tmp_path / "a.db"
    with SqliteMemoryDb(first, db_file=file) as db:
        row = db.upsert_memory(MemoryRow({"a": 1}, "a", "ann"))
    other = SqliteMemoryDb(second, db_file=file)
    trial = Trial(BackendUnderTest(open=lambda: other))
    for name, call in every_call(trial, other):
        with pytest.raises(SchemaError, match="upper and lower case"):
            raise AssertionError(f"{name} returned {call()!r}")
    trial.close()
    with SqliteMemoryDb(first, db_file=file) as db:
        assert db.read_memories() == [row]


def test_a_store_that_was_opened_first_is_refused_as_well(tmp_path: Path) -> None:
    """An object that found no table yet notices the one of another name that was made since."""
    file = tmp_path / "a.db"
    with SqliteMemoryDb("Memory", db_file=file) as first, SqliteMemoryDb(db_file=file) as second:
        assert first.read_memories() == []
        second.upsert_memory(MemoryRow({}, "a"))
        for call in (first.read_memories, first.create, lambda: first.upsert_memory(MemoryRow({}))):
            with pytest.raises(SchemaError, match="upper and lower case"):
                call()
        assert second.count_memories() == 1


def test_letters_beyond_ascii_are_told_apart(tmp_path: Path) -> None:
    """SQLite folds the case of ASCII letters only: É and é are two tables."""
    file = tmp_path / "a.db"
    with SqliteMemoryDb("é", db_file=file) as one, SqliteMemoryDb("É", db_file=file) as two:
        one.upsert_memory(MemoryRow({}))
        assert (one.count_memories(), two.count_memories()) == (1, 0)


def test_a_store_on_the_summaries_of_another_is_refused(tmp_path: Path) -> None:
    """A store whose table is another store's table of summaries is refused, also when it is only
    asked whether it or a row is there."""
    with SqliteMemoryDb("notes", db_file=tmp_path / "a.db") as db:
        db.upsert_summary(SummaryRow({}, "s", "ann"))
    with SqliteMemoryDb("notes_summaries", db_file=tmp_path / "a.db") as db:
        for call in (db.table_exists, lambda: db.memory_exists(MemoryRow({}, "s", "ann"))):
            with pytest.raises(SchemaError):
                call()


def test_a_tilde_is_the_home_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``~`` at the beginning of a file is expanded, in a URL as in ``db_file``."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with open_memory_db("sqlite:///~/a.db") as by_url, SqliteMemoryDb(db_file="~/a.db") as by_file:
        by_url.upsert_memory(MemoryRow({"memory": "x"}, "1", "ann"))
        assert by_file.read_memory("1", user_id="ann") is not None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.db"]


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    """A folder in the place of the file is told as what may be wrong."""
    with (
        pytest.raises(AccessError, match="Check that it is a file"),
        open_memory_db(f"sqlite:///{tmp_path}") as db,
    ):
        db.read_memories()
