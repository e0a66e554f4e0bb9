"""What is really stored: a change of the format shows here."""

from __future__ import annotations

import itertools
import sqlite3
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from buddy.memory.errors import SchemaError
from buddy.memory.storage.record import Key, Kind, Record, Scope, Write
from buddy.memory.storage.sql.read_statements import ID, KEY, Where
from buddy.memory.storage.sync_runner import run
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from buddy.memory.v2.db.sqlite import SqliteMemoryDb
from buddy_memory_sqlite.client import open_engine
from buddy_memory_sqlite.store import SqliteStore

NOON = datetime(2026, 1, 2, 12, 0, 0, 5, timezone.utc)
NOON_TEXT = "2026-01-02 12:00:00.000005"


def test_the_form_of_a_row(tmp_path: Path) -> None:
    """A row is plain columns with readable JSON and UTC text; nobody is an empty user."""
    with SqliteMemoryDb("notes", db_file=tmp_path / "a.db") as db:
        db.upsert_memory(MemoryRow({"t": "tea ☕", "n": [1, None]}, "a", "ann", NOON, NOON))
        db.upsert_memory(MemoryRow({"\ud800": "\x00\x1b"}, "b", None, NOON, NOON))
        db.upsert_memory(MemoryRow({}, "b", "", NOON, NOON))
        db.upsert_memory(MemoryRow({}, "b", "\x01", NOON, NOON))
        db.upsert_summary(SummaryRow({"s": 1}, "monday", "ann", NOON, NOON))
    connection = sqlite3.connect(tmp_path / "a.db")
    times = (NOON_TEXT, NOON_TEXT)
    select = "SELECT seq, id, user_id, {}, created_at, updated_at, version, expires_at, vector"
    assert connection.execute(f"{select.format('memory')} FROM notes").fetchall() == [
        (1, "a", "ann", '{"t":"tea ☕","n":[1,null]}', *times, 1, None, None),
        (2, "b", "", '{"\\u001bd800":"\\u0000\\u001b001b"}', *times, 1, None, None),
        (3, "b", "\x01", "{}", *times, 1, None, None),
        (4, "b", "\x01\x01", "{}", *times, 1, None, None),
    ]
    assert connection.execute(f"{select.format('summary')} FROM notes_summaries").fetchall() == [
        (1, "monday", "ann", '{"s":1}', *times, 1, None, None),
    ]
    stamps = [row[0] for row in connection.execute("SELECT stamp FROM notes")]
    assert all(0 <= stamp < 1 << 40 for stamp in stamps)
    assert len(set(stamps)) == 4
    assert connection.execute("SELECT json_extract(memory, '$.t') FROM notes").fetchone() == (
        "tea ☕",
    )
    connection.close()


def test_the_form_of_an_end_and_a_vector(tmp_path: Path) -> None:
    """An end is UTC text as the other times, a vector is a blob."""
    end = NOON.replace(year=2126)
    with _store(tmp_path) as store:
        record = Record(Kind.MEMORY, "ann", "a", {}, NOON, NOON, expires_at=end, vector=b"\x00\xff")
        run(store.put(Write(record, NOON)))
        found: Any = run(store.get(Kind.MEMORY, "ann", "a"))
        assert (found.expires_at, found.vector) == (end, b"\x00\xff")
    connection = sqlite3.connect(tmp_path / "a.db")
    (row,) = connection.execute("SELECT expires_at, vector FROM memory").fetchall()
    assert row == ("2126" + NOON_TEXT[4:], b"\x00\xff")
    connection.close()


class _store:
    """A store on a file, closed at the end."""

    def __init__(self, folder: Path) -> None:
        self.store = SqliteStore(open_engine(None, folder / "a.db", None), "memory")

    def __enter__(self) -> SqliteStore:
        return self.store

    def __exit__(self, *_: object) -> None:
        run(self.store.close())


def plan(connection: sqlite3.Connection, sql: str) -> str:
    """Return what SQLite would do for a statement."""
    parameters = [None] * sql.count("?")
    return "\n".join(row[-1] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters))


@pytest.fixture
def connection(tmp_path: Path) -> Any:
    with _store(tmp_path) as store:
        run(store.create())
    connection = sqlite3.connect(tmp_path / "a.db")
    yield connection
    connection.close()


@pytest.fixture
def statements(tmp_path: Path) -> Any:
    with _store(tmp_path) as store:
        yield store._statements[Kind.MEMORY]


FLAGS = [*itertools.product((True, False), repeat=3)]


@pytest.mark.parametrize("flags", FLAGS)
def test_pages_of_a_user_and_of_everybody_need_no_sorting(
    statements: Any, connection: sqlite3.Connection, flags: tuple[bool, bool, bool]
) -> None:
    """They run along an index, without a sort and without a scan for the user."""
    for where in (Where.EVERYBODY, Where.USER):
        text = plan(connection, statements.page(where, *flags).sql)
        assert "TEMP B-TREE" not in text
        if where is Where.USER:
            assert "USING INDEX" in text
            assert "SCAN" not in text


@pytest.mark.parametrize("flags", FLAGS)
def test_a_page_under_a_prefix_reads_the_index_of_its_users_only(
    statements: Any, connection: sqlite3.Connection, flags: tuple[bool, bool, bool]
) -> None:
    """The places come from the users' range of an index, and the rows by their places."""
    for where in (Where.FROM, Where.RANGE):
        text = plan(connection, statements.page(where, *flags).sql)
        assert "SEARCH memory USING COVERING INDEX" in text
        assert "(user_id>?" in text
        assert "SEARCH memory USING INTEGER PRIMARY KEY (rowid=?)" in text
        assert "SCAN memory" not in text


def test_users_are_found_by_steps_in_the_index(
    statements: Any, connection: sqlite3.Connection
) -> None:
    """Each user is a search in an index, and no row is scanned."""
    for inclusive, bounded, limit in FLAGS:
        text = plan(connection, statements.users(inclusive, bounded, limit).sql)
        assert text.count("SEARCH memory USING INDEX sqlite_autoindex_memory_2") == 2
        assert "SCAN memory" not in text


@pytest.mark.parametrize("count", [1, 2, 64, 1024])
def test_rows_by_keys_and_by_ids_are_searched(
    statements: Any, connection: sqlite3.Connection, count: int
) -> None:
    """However many keys or ids one statement has, each of them is a search in an index."""
    by_keys = statements.repeated(statements.get_many(), KEY, count).sql
    by_ids = statements.repeated(statements.find(), ID, count).sql
    for sql in (by_keys, by_ids, statements.find_one().sql, statements.get().sql):
        text = plan(connection, sql)
        assert "SEARCH memory USING INDEX" in text
        assert "SCAN memory" not in text
        assert "SCAN other" not in text


def test_counts_and_marks_read_no_other_user(
    statements: Any, connection: sqlite3.Connection
) -> None:
    """Counting and marking search in an index of the users."""
    for where in (Where.USER, Where.FROM, Where.RANGE):
        assert "SEARCH memory USING COVERING INDEX" in plan(connection, statements.count(where).sql)
    assert "SEARCH memory USING INDEX" in plan(connection, statements.mark().sql)


def test_a_place_is_not_used_twice(tmp_path: Path) -> None:
    """After the newest row is deleted the next one stands behind it."""
    with _store(tmp_path) as store:

        def put(id: str) -> Any:
            run(store.put(Write(Record(Kind.MEMORY, "ann", id, {}, NOON, NOON), NOON)))
            found: Any = run(store.get(Kind.MEMORY, "ann", id))
            return found.position

        first = put("a")
        run(store.delete_many(Kind.MEMORY, [Key("ann", "a")]))
        second = put("b")
        run(store.delete_all(Kind.MEMORY, Scope.of_user("ann")))
        assert first < second < put("c")


def test_a_summary_table_does_not_pass_for_a_memory_table(tmp_path: Path) -> None:
    """A store named like another's table of summaries is refused instead of mixing both."""
    with SqliteMemoryDb("a", db_file=tmp_path / "a.db") as db:
        db.upsert_summary(SummaryRow({}, "monday", "ann"))
    with SqliteMemoryDb("a_summaries", db_file=tmp_path / "a.db") as db:
        for call in (
            lambda: db.upsert_memory(MemoryRow({})),
            db.read_memories,
            db.count_memories,
            lambda: db.delete_user("ann"),
            db.clear,
            db.drop_table,
        ):
            with pytest.raises(SchemaError, match="not one of ours"):
                call()
    with SqliteMemoryDb("a", db_file=tmp_path / "a.db") as db:
        assert db.count_summaries() == 1
