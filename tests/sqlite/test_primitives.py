"""Primitives of the store that no public method shows yet, or shows only in part."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from buddy.memory.storage.record import EVERYBODY, Key, Kind, Record, Scope, Write, new_stamp
from buddy.memory.storage.sync_runner import run
from buddy.memory.v2.db.schema import MemoryRow
from buddy.memory.v2.db.sqlite import SqliteMemoryDb
from buddy_memory_sqlite.client import open_engine
from buddy_memory_sqlite.store import SqliteStore

NOON = datetime(2026, 1, 2, 12, 0, 0, 5, timezone.utc)
M = Kind.MEMORY


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(open_engine(None, tmp_path / "a.db", None), "memory")
    yield store
    run(store.close())


def write(user_id: str | None, id: str, **more: Any) -> Write:
    record = Record(M, user_id, id, {"of": user_id}, NOON, NOON, stamp=new_stamp())
    return Write(record._replace(**more), NOON)


def test_many_keys_and_many_ids_are_answered(store: SqliteStore) -> None:
    """Any number of keys and of ids, more than one statement carries, each get their own rows."""
    users = (None, "ann", "bob")
    run(store.put_many([write(user, f"id-{n}") for user in users for n in range(1200)]))
    keys = [Key(user, f"id-{n}") for n in range(1201) for user in users]
    found = run(store.get_many(M, keys))
    assert [r.key if isinstance(r, Record) else None for r in found] == [*keys[:-3], *[None] * 3]
    ids = [f"id-{n}" for n in range(1201)]
    some = run(store.find(M, ids))
    assert len(some) == 2400
    assert {(r.user_id, r.id) for r in some} == {(u, i) for u in (None, "bob") for i in ids[:-1]}
    assert len(run(store.find(M, ["id-7"]))) == 2
    assert run(store.find(M, ["absent"])) == []


def test_a_damaged_row_is_found_by_its_key_and_id(store: SqliteStore, tmp_path: Path) -> None:
    """A row that cannot be decoded is Corrupt by key, by id and in a page; its neighbours are
    records, and its user is listed."""
    run(store.put_many([write("ann", "a"), write("ann", "b"), write("bob", "b")]))
    change = "UPDATE memory SET memory = CAST(x'ff' AS TEXT) WHERE id = 'a'"
    run(store._connector.run(lambda cursor: cursor.execute(change)))
    named = [Key("ann", "a"), Key("ann", "b")]
    page = run(store.page(M, Scope.of_prefix("a"), newest_first=False, after=None, limit=9))
    for rows in (run(store.get_many(M, named)), page):
        assert [(type(r).__name__, r.key) for r in rows if r] == [
            ("Corrupt", named[0]),
            ("Record", named[1]),
        ]
    assert {type(r).__name__ for r in run(store.find(M, ["a", "b"]))} == {"Corrupt", "Record"}
    assert run(store.users(M, prefix="", after=None, limit=None)) == ["ann", "bob"]


def test_a_user_that_is_no_text_hides_no_other(store: SqliteStore) -> None:
    """Bytes that are no UTF-8 in the place of a user leave the other users to be listed."""
    run(store.put_many([write("ann", "a"), write("bob", "b"), write("eve", "c")]))
    change = "UPDATE memory SET user_id = CAST(x'62ff' AS TEXT) WHERE id = 'b'"
    run(store._connector.run(lambda cursor: cursor.execute(change)))
    assert run(store.users(M, prefix="", after=None, limit=None)) == ["ann", "b\ufffd", "eve"]
    rows = run(store.page(M, EVERYBODY, newest_first=False, after=None, limit=None))
    assert [type(r).__name__ for r in rows] == ["Record", "Corrupt", "Record"]


def test_a_mark_moves_with_every_change(store: SqliteStore) -> None:
    """Each write, rewrite and deletion of a user's rows moves that user's mark and no other's."""
    run(store.put_many([write("ann", "a"), write("bob", "a")]))
    others = run(store.mark(M, "bob"))
    seen = [run(store.mark(M, "ann"))]

    def moved() -> None:
        assert run(store.mark(M, "bob")) == others
        seen.append(run(store.mark(M, "ann")))
        assert seen[-1] != seen[-2]

    stored: Any = run(store.get(M, "ann", "a"))
    run(store.put(write("ann", "a")))
    moved()
    stored = run(store.get(M, "ann", "a"))
    assert run(store.rewrite(M, "ann", "a", stored.stamp, payload={"n": 1}, vector=b"v"))
    moved()
    run(store.put_many([write("ann", "a"), write("ann", "b")]))
    moved()
    run(store.restore([write("ann", "c", version=7)]))
    moved()
    run(store.delete(M, "ann", "c", None))
    moved()
    run(store.delete_all(M, Scope.of_user("ann")))
    moved()
    assert seen[-2] == seen[-4]  # The same rows in the same states.
    assert seen[-1] == run(store.mark(M, "never seen"))


def test_a_rewrite_needs_the_stamp_and_moves_it_alone(store: SqliteStore) -> None:
    """Payload and vector are replaced where the stamp is still the given one; version, times, end
    and place stay."""
    assert not run(store.rewrite(M, "ann", "a", 1, payload={}, vector=None))
    run(store.put(write("ann", "a", expires_at=NOON.replace(year=2126), vector=b"old")))
    before: Any = run(store.get(M, "ann", "a"))
    assert not run(store.rewrite(M, None, "a", before.stamp, payload={}, vector=None))
    assert run(store.rewrite(M, "ann", "a", before.stamp, payload={"n": 2}, vector=b"new"))
    assert not run(store.rewrite(M, "ann", "a", before.stamp, payload={"n": 3}, vector=None))
    after: Any = run(store.get(M, "ann", "a"))
    assert after.stamp != before.stamp
    assert after == before._replace(payload={"n": 2}, vector=b"new", stamp=after.stamp)


def test_a_write_returns_its_stamp(store: SqliteStore) -> None:
    """What a write returns has the stamp that is stored, new rows and old ones alike."""
    for _ in range(2):
        written = [run(store.put(write("ann", "a"))), *run(store.put_many([write("ann", "b")]))]
        found = run(store.get_many(M, [Key("ann", "a"), Key("ann", "b")]))
        assert written == [r._replace(position=None) for r in found if isinstance(r, Record)]


def test_a_table_that_is_made_again_is_another_generation(store: SqliteStore) -> None:
    """The generation stays through writes and clearing, and is new after a drop."""
    assert run(store.generation(M)) == ""
    run(store.put(write("ann", "a")))
    first = run(store.generation(M))
    assert first not in ("", run(store.generation(Kind.SUMMARY)))
    run(store.delete_all(M, EVERYBODY))
    run(store.put(write("ann", "a")))
    assert run(store.generation(M)) == first
    run(store.drop())
    run(store.put(write("ann", "a")))
    assert run(store.generation(M)) not in ("", first)


def test_a_burst_of_threads_is_not_refused(store: SqliteStore) -> None:
    """Two hundred threads at once, many more than there are connections, all write and read."""

    def act(n: int) -> bool:
        run(store.put(write("ann", f"id-{n}")))
        return run(store.has(M, "ann", f"id-{n}"))

    with ThreadPoolExecutor(200) as pool:
        assert all(pool.map(act, range(200)))
    assert run(store.count(M, EVERYBODY)) == 200


def test_a_page_may_be_as_large_as_a_limit_can_be(tmp_path: Path) -> None:
    """The largest limit that is taken gives a page of all rows, and no next one."""
    with SqliteMemoryDb(db_file=tmp_path / "b.db") as db:
        db.upsert_memory(MemoryRow({}, "a", "ann"))
        page = db.page_memories(limit=2**63 - 1)
        assert ([row.id for row in page.rows], page.next) == (["a"], None)
