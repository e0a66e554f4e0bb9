"""What is really stored: a change of the format shows here."""

from __future__ import annotations

import itertools
import sqlite3
from datetime import datetime, timezone
from pathlib import Path

import pytest

from buddy.memory.errors import SchemaError
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from buddy.memory.v2.db.sqlite import SqliteMemoryDb

NOON = datetime(2026, 1, 2, 12, 0, 0, 5, timezone.utc)


def test_the_form_of_a_row(tmp_path: Path) -> None:
    """A row is plain columns with readable JSON and UTC text."""
    with SqliteMemoryDb("notes", db_file=tmp_path / "a.db") as db:
        db.upsert_memory(MemoryRow({"t": "tea ☕", "n": [1, None]}, "a", "ann", NOON, NOON))
        db.upsert_memory(MemoryRow({"\ud800": "\x00\x1b"}, "b", None, NOON, NOON))
        db.upsert_summary(SummaryRow({"s": 1}, "monday", "ann", NOON, NOON))
    connection = sqlite3.connect(tmp_path / "a.db")
    noon = "2026-01-02 12:00:00.000005"
    assert connection.execute("SELECT * FROM notes").fetchall() == [
        (1, "a", "ann", '{"t":"tea ☕","n":[1,null]}', noon, noon, 1),
        (2, "b", None, '{"\\u001bd800":"\\u0000\\u001b001b"}', noon, noon, 1),
    ]
    assert connection.execute("SELECT * FROM notes_summaries").fetchall() == [
        (1, "monday", "ann", '{"s":1}', noon, noon, 1),
    ]
    assert connection.execute("SELECT json_extract(memory, '$.t') FROM notes").fetchone() == (
        "tea ☕",
    )
    connection.close()


def test_the_newest_of_a_user_need_no_sorting(tmp_path: Path) -> None:
    """Listings of a user and of everybody run from an index, without a sort or a scan."""
    file = tmp_path / "a.db"
    with SqliteMemoryDb(db_file=file) as db:
        db.create()
        statements = db._policy.store._statements.values()  # type: ignore[attr-defined]
        flags = itertools.product((True, False), repeat=3)
        pages = [s.page(*three, True) for three in flags for s in statements]
    connection = sqlite3.connect(file)
    for page in pages:
        plan = connection.execute(
            f"EXPLAIN QUERY PLAN {page.sql}", [None] * page.sql.count("?")
        ).fetchall()
        text = " ".join(row[-1] for row in plan)
        assert "TEMP B-TREE" not in text, page.sql
        if "user_id = ?" in page.sql:
            assert "USING INDEX" in text, page.sql
    connection.close()


def test_a_summary_table_does_not_pass_for_a_memory_table(tmp_path: Path) -> None:
    """A store named like another's table of summaries is refused instead of mixing both."""
    with SqliteMemoryDb("a", db_file=tmp_path / "a.db") as db:
        db.create()
    with SqliteMemoryDb("a_summaries", db_file=tmp_path / "a.db") as db:
        with pytest.raises(SchemaError, match="not one of ours"):
            db.upsert_memory(MemoryRow({}))
