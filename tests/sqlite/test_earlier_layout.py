"""A store in the layout in which an id was unique among all users: refused by every call."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from buddy.memory.errors import SchemaError
from buddy.memory.storage.record import EVERYBODY, Key, Kind, Scope
from buddy.memory.storage.sync_runner import iterate, run
from buddy.memory.testing import BackendUnderTest, Trial
from buddy.memory.testing.rules.failure import every_call
from buddy.memory.v2.db.sqlite import SqliteMemoryDb
from buddy_memory_sqlite.client import open_engine
from buddy_memory_sqlite.store import SqliteStore

TABLE = """
CREATE TABLE {name} (
    seq INTEGER NOT NULL, id TEXT NOT NULL, user_id TEXT, {payload} TEXT NOT NULL,
    created_at DATETIME NOT NULL, updated_at DATETIME NOT NULL,
    version BIGINT DEFAULT 1 NOT NULL, PRIMARY KEY (seq), UNIQUE (id)
);
CREATE INDEX ix_{name}_user_seq ON {name} (user_id, seq);
INSERT INTO {name} (id, user_id, {payload}, created_at, updated_at) VALUES
    ('a', 'ann', '{{}}', '2026-01-02 12:00:00.000005', '2026-01-02 12:00:00.000005'),
    ('b', NULL, '{{}}', '2026-01-02 12:00:00.000005', '2026-01-02 12:00:00.000005');
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "old.db"
    connection = sqlite3.connect(file)
    connection.executescript(TABLE.format(name="memory", payload="memory"))
    connection.executescript(TABLE.format(name="memory_summaries", payload="summary"))
    connection.close()
    return file


def test_every_call_of_a_database_is_refused(file: Path) -> None:
    """Each method that needs the tables raises SchemaError that says what to do, and nothing of
    the file changes."""
    before = file.read_bytes()
    db = SqliteMemoryDb(db_file=file)
    trial = Trial(BackendUnderTest(open=lambda: db))
    for name, call in every_call(trial, db):
        if " no" in name or name == "ping":  # These have nothing to do with rows.
            continue
        with pytest.raises(SchemaError, match=r"earlier buddy-memory.*Export it"):
            raise AssertionError(f"{name} returned {call()!r}")
    trial.close()
    assert file.read_bytes() == before


ALL = Kind.MEMORY, EVERYBODY
CALLS: dict[str, Any] = {
    "get": lambda s: s.get(Kind.MEMORY, "ann", "a"),
    "has": lambda s: s.has(Kind.MEMORY, "ann", "a"),
    "get_many": lambda s: s.get_many(Kind.MEMORY, [Key("ann", "a")]),
    "find": lambda s: s.find(Kind.MEMORY, ["a"]),
    "page": lambda s: s.page(*ALL, newest_first=True, after=None, limit=1),
    "count": lambda s: s.count(*ALL),
    "users": lambda s: s.users(Kind.MEMORY, prefix="", after=None, limit=None),
    "mark": lambda s: s.mark(Kind.MEMORY, "ann"),
    "rewrite": lambda s: s.rewrite(Kind.MEMORY, "ann", "a", 1, payload={}, vector=None),
    "delete": lambda s: s.delete(Kind.MEMORY, "ann", "a", None),
    "delete_many": lambda s: s.delete_many(Kind.MEMORY, [Key("ann", "a")]),
    "delete_all": lambda s: s.delete_all(Kind.MEMORY, Scope.of_user("ann")),
    "delete_all of summaries": lambda s: s.delete_all(Kind.SUMMARY, EVERYBODY),
    "exists": lambda s: s.exists(),
    "create": lambda s: s.create(),
    "upgrade": lambda s: s.upgrade(),
    "drop": lambda s: s.drop(),
}


@pytest.mark.parametrize("name", CALLS)
def test_every_primitive_is_refused(name: str, file: Path) -> None:
    """Each primitive, also as the first call of its object, raises and changes nothing."""
    before = file.read_bytes()
    store = SqliteStore(open_engine(None, file, None), "memory")
    for _ in range(2):
        with pytest.raises(SchemaError, match="earlier buddy-memory"):
            run(CALLS[name](store))
    run(store.close())
    assert file.read_bytes() == before


def test_its_rows_are_none_of_older_software(file: Path) -> None:
    """They are not read as legacy records either."""
    store = SqliteStore(open_engine(None, file, None), "memory")
    with pytest.raises(SchemaError, match="earlier buddy-memory"):
        list(iterate(store.legacy_records()))
    run(store.close())
