"""LMDB keeps every rule: v1, v2 and async, in one folder; and what only LMDB owes."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import lmdb
import pytest

from buddy.memory.errors import (
    AccessError,
    ConfigError,
    MemoryDbError,
    SchemaError,
    TooLargeError,
    UnavailableError,
)
from buddy.memory.storage.record import Kind, Record, Scope, Write
from buddy.memory.storage.sync_runner import run
from buddy.memory.testing import BackendUnderTest
from buddy.memory.testing.assertions import at_once
from buddy.memory.testing.pytest_suite import Conformance
from buddy.memory.v2.db.schema import MemoryRow
from buddy_memory_lmdb.client import MAP_SIZE, Database, get, keys_of
from buddy_memory_lmdb.errors import translate
from buddy_memory_lmdb.schema import Keys
from buddy_memory_lmdb.store import LmdbStore
from buddy_memory_lmdb.v1 import LmdbMemoryDb as LmdbMemoryDbV1
from buddy_memory_lmdb.v2 import AsyncLmdbMemoryDb, LmdbMemoryDb
from tests.client_checks import ClientConformance


class OnLmdb(Conformance):
    complete = True
    lacks = frozenset({"secret"})
    cls: Any

    @pytest.fixture
    def subject(self, tmp_path: Path) -> BackendUnderTest:
        cls, folder = self.cls, tmp_path / "lmdb"

        def corrupt(id: str) -> None:
            keys, database = Keys("notes"), Database(folder, MAP_SIZE)

            def damage(t: lmdb.Transaction) -> None:
                for key in list(keys_of(t, keys.ids(Kind.MEMORY, id))):
                    at = keys.rows(Kind.MEMORY) + t.get(key)
                    t.put(at, t.get(at).partition(b"\n")[0] + b'\n{"torn')

            database.write(damage)
            database.close()

        return BackendUnderTest(
            open=lambda: cls(folder, "notes"),
            neighbour=lambda: cls(folder, "notes2"),
            named=lambda name: cls(folder, name),
            expiring=lambda: cls(folder, "notes", expire=3600),
            unreachable=lambda: cls("/dev/null/x"),
            corrupt=corrupt,
            order_without_clocks=True,
            order_across_users=True,
            forks=True,
        )


class TestV1(ClientConformance, OnLmdb):
    cls = LmdbMemoryDbV1


class TestV2(OnLmdb):
    cls = LmdbMemoryDb


class TestAsync(ClientConformance, OnLmdb):
    cls = AsyncLmdbMemoryDb


def test_a_url_names_the_folder(tmp_path: Path) -> None:
    """The folder and the options are taken from the URL, percent-encoded where necessary."""
    with LmdbMemoryDb.from_url(f"lmdb:///{tmp_path}/a%20b?table_name=t&map_size=9000000") as db:
        db.upsert_memory(MemoryRow({"a": 1}))
        assert db.to_dict()["map_size"] == 9_000_000
    assert (tmp_path / "a b" / "data.mdb").exists()
    adb = AsyncLmdbMemoryDb.from_url(f"lmdb:///{tmp_path}/a%20b?table_name=t")
    assert adb.sync_db.to_dict()["path"] == f"{tmp_path}/a b"
    with pytest.raises(ConfigError, match="path"):
        LmdbMemoryDb.from_url("lmdb://")


def test_reading_makes_nothing(tmp_path: Path) -> None:
    """Neither reading nor deleting makes the folder."""
    with LmdbMemoryDb(tmp_path / "x") as db:
        assert db.read_memories() == []
        assert db.delete_memory("a") is False
        db.drop_table()
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_fit(tmp_path: Path) -> None:
    """A row over the map's size is too large; a full map is said to be full; nothing is lost."""
    with LmdbMemoryDb(tmp_path / "x", map_size=200_000) as db:
        with pytest.raises(TooLargeError):
            db.upsert_memory(MemoryRow({"a": "x" * 300_000}))
        kept = db.upsert_memory(MemoryRow({"a": "x" * 50_000}, "kept"))
        with pytest.raises(UnavailableError, match="larger map_size"):
            db.upsert_memories(MemoryRow({"a": "x" * 50_000}) for _ in range(9))
        assert db.read_memories() == [kept]


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """A file of something else is refused and not changed; so is a path that cannot be."""
    (tmp_path / "data.mdb").write_bytes(b"not a database" * 1000)
    with LmdbMemoryDb(tmp_path) as db, pytest.raises(SchemaError):
        db.read_memories()
    assert (tmp_path / "data.mdb").read_bytes() == b"not a database" * 1000
    with LmdbMemoryDb("/dev/null/x") as db, pytest.raises(AccessError, match="Not a directory"):
        db.upsert_memory(MemoryRow({}))


def test_every_error_of_the_driver_is_translated(tmp_path: Path) -> None:
    """Whatever LMDB raises is an error of our tree."""
    kinds = [k for k in vars(lmdb).values() if isinstance(k, type) and issubclass(k, lmdb.Error)]
    assert len(kinds) > 20
    for kind in kinds:
        assert isinstance(translate(kind("what"), tmp_path), MemoryDbError)


def test_an_earlier_layout(tmp_path: Path) -> None:
    """A store in the layout of an earlier release is refused by every call, and not changed."""
    database = Database(tmp_path, MAP_SIZE)
    database.write(lambda t: t.put(Keys("notes").made, (7).to_bytes(8, "big")))
    with LmdbMemoryDb(tmp_path, "notes") as db, LmdbMemoryDb(tmp_path, "other") as other:
        for call in (db.create, db.read_memories, db.clear, db.drop_table, db.upgrade, db.ping):
            with pytest.raises(SchemaError, match="earlier buddy-memory"):
                call()
        with pytest.raises(SchemaError, match="earlier buddy-memory"):
            db.upsert_memory(MemoryRow({}, "a"))
        assert other.upsert_memory(MemoryRow({}, "a")).version == 1
    kept = database.read(lambda t: get(t, Keys("notes").made), b"")
    assert kept == (7).to_bytes(8, "big")
    database.close()


def test_names_longer_than_a_key(tmp_path: Path) -> None:
    """Users whose names are alike for longer than a key may be come in code-point order."""
    store = LmdbStore(Database(tmp_path, MAP_SIZE), "notes")
    users = sorted("é" * 300 + end for end in ("", "a", "b", "ä"))
    for user in [users[2], "z", users[0], users[3], users[1]]:
        now = datetime.now(timezone.utc)
        run(store.put(Write(Record(Kind.MEMORY, user, "1", {}, now, now), now)))
    found = store.users(Kind.MEMORY, prefix="é" * 299, after=users[0], limit=2)
    assert run(found) == users[1:3]
    assert run(store.delete_all(Kind.MEMORY, Scope.of_prefix("é" * 299))) == 4
    assert run(store.users(Kind.MEMORY, prefix="", after=None, limit=None)) == ["z"]
    run(store.close())


def test_objects_share_an_environment(tmp_path: Path) -> None:
    """Objects on one path share its environment, which lives until the last one is closed."""
    first, second = LmdbMemoryDb(tmp_path), LmdbMemoryDb(tmp_path, "other")
    first.upsert_memory(MemoryRow({}, "a"))
    first.close()
    second.upsert_memory(MemoryRow({}, "b"))
    second.close()
    with LmdbMemoryDb(tmp_path) as db:
        assert [row.id for row in db.read_memories()] == ["a"]


def test_a_full_map_is_emptied(tmp_path: Path) -> None:
    """Where nothing more can be written, everything can be deleted, and then written again."""
    with LmdbMemoryDb(tmp_path, map_size=2**18) as db:
        rows = [MemoryRow({"text": "tea " * 100}, f"{n}", "ann") for n in range(2000)]

        def fill() -> None:
            for row in rows:
                db.upsert_memory(row)

        with pytest.raises(UnavailableError, match="larger map_size"):
            fill()
        stored = db.count_memories("ann")
        assert stored > 100
        assert db.delete_user("ann") == {"memories": stored, "summaries": 0}
        assert db.upsert_memory(rows[0]).version == 1


GROW = """
import sys
from buddy.memory import MemoryRow
from buddy_memory_lmdb.v2 import LmdbMemoryDb

with LmdbMemoryDb(sys.argv[1], map_size=2**26) as db:
    db.upsert_memories(MemoryRow({"text": "tea " * 500}, f"{n}", "bob") for n in range(5000))
"""


def test_another_process_grows_the_map(tmp_path: Path) -> None:
    """Calls go on after another process has made the map larger, in all threads."""
    with LmdbMemoryDb(tmp_path, map_size=2**20) as db:
        db.upsert_memory(MemoryRow({}, "a", "ann"))
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
        command = [sys.executable, "-c", GROW, str(tmp_path)]
        subprocess.run(command, env=environment, check=True)
        counts = at_once(8, lambda n: db.count_memories("bob"))
        assert set(counts) == {5000}
        assert db.upsert_memory(MemoryRow({}, "a", "ann")).version == 2
        assert db.delete_user("bob") == {"memories": 5000, "summaries": 0}
