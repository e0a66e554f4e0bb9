"""R6: writes."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import chain
from types import SimpleNamespace

from buddy.memory.errors import InvalidMemoryError, MemoryDbError
from buddy.memory.storage.record import EVERYBODY, Key, Kind, Record, Write
from buddy.memory.testing.assertions import at_once, raises
from buddy.memory.testing.backend_under_test import Rows, Trial
from buddy.memory.testing.check import check, check_rows


@check_rows("R6")
def a_repeated_upsert_leaves_one_row(rows: Rows) -> None:
    """A repeated call leaves one row, with the later content, and returns what is stored."""
    row = rows.new("a", {"n": 1})
    assert rows.upsert(row).version == 1
    assert rows.upsert(row).version == 2
    last = rows.add("a", {"n": 3})
    assert rows.payload(last) == {"n": 3}
    assert rows.read() == [last]
    assert rows.get("a") == last


@check_rows("R6")
def what_is_written_is_seen_by_others_at_once(rows: Rows) -> None:
    """A write that returned is seen by every other object on the store, and so is a deletion."""
    other = rows.trial.rows(rows.trial.open(), rows.kind)
    row = rows.add("a")
    assert other.get("a") == row
    assert other.delete("a") is True
    assert rows.get("a") is None
    assert rows.delete("a") is False


@check_rows("R6")
def bulk_writes_take_any_size(rows: Rows) -> None:
    """Bulk writes take no, one or thousands of rows, and listings return all, in their order."""
    assert rows.upsert_many([]) == []
    assert rows.delete_many([]) == 0
    for count in (1, 2, 1203):
        stored = rows.upsert_many(rows.new(f"{count}-{n}", {"n": n}) for n in range(count))
        assert [row.id for row in stored] == [f"{count}-{n}" for n in range(count)]
        assert [rows.payload(row)["n"] for row in stored] == list(range(count))
    assert rows.count() == 1206
    assert rows.read(sort="asc")[-1203:] == stored
    assert rows.get("1203-77") == stored[77]
    assert rows.delete_many(f"1203-{n}" for n in range(1203)) == 1203
    assert rows.ids(sort="asc") == ["1-0", "2-0", "2-1"]


@check_rows("R6")
def bulk_writes_insert_and_update(rows: Rows) -> None:
    """A bulk write updates what exists and inserts the rest; an id given twice is written once."""
    old = rows.add("old", {"n": 0})
    stored = rows.upsert_many(
        [rows.new("new", {"n": 1}), rows.new("old", {"n": 2}), rows.new("new", {"n": 3})]
    )
    assert [row.id for row in stored] == ["new", "old", "new"]
    assert [row.version for row in stored] == [1, 2, 1]
    assert stored[1].created_at == old.created_at
    assert rows.payload(rows.get("new")) == {"n": 3}
    assert rows.ids(sort="asc") == ["old", "new"]
    assert rows.delete_many(["new", "new", "none"]) == 1


@check_rows("R6")
def a_refused_bulk_write_stores_nothing(rows: Rows) -> None:
    """A bulk write in which one row is not valid is refused before anything is stored."""
    new = [rows.new(f"n{n}") for n in range(510)]
    error = raises(InvalidMemoryError, rows.upsert_many, [*new, rows.new("y", {"y": {1}})])
    assert error.stored == ()
    raises(InvalidMemoryError, rows.upsert_many, [rows.new("x"), rows.new("", {"a": 1})])
    assert rows.read() == []


@check_rows("R6")
def a_failed_bulk_write_names_what_is_stored(rows: Rows) -> None:
    """A bulk write stores all, or raises with the pairs of user and id that it left stored."""
    users = ("ann", "bob", None)
    given = [rows.new(f"{n}", user_id=user) for n in range(200) for user in users]
    # Megabytes in one row, which some backends refuse.
    given.insert(510, rows.new("large", {"text": "Likes green tea. " * 150_000}))
    named: set[tuple[str | None, str]] = {(row.user_id, row.id) for row in given}
    try:
        rows.upsert_many(given)
    except MemoryDbError as error:
        named = set(error.stored)
    assert {(row.user_id, row.id) for row in rows.read()} == named


@check_rows("R6")
def of_many_deletions_at_once_one_is_true(rows: Rows) -> None:
    """Of many deletions of one row at once, single or bulk, one says that there was a row."""
    for id in ("a", "b", "c"):
        rows.add(id)
        calls = [lambda: int(rows.delete(id)), lambda: rows.delete_many([id])]  # noqa: B023
        assert sum(at_once(8, lambda n: calls[n % 2]())) == 1, id  # noqa: B023
        assert rows.get(id) is None


@check_rows("R6")
def concurrent_upserts_of_one_id_leave_one_row(rows: Rows) -> None:
    """Upserts of one id from many threads leave one row, and each of them counts."""
    rows.trial.db.create()
    versions = at_once(8, lambda n: [rows.add("a", {"n": n}).version for _ in range(5)])
    assert sorted(chain.from_iterable(versions)) == list(range(1, 41))
    assert rows.count() == 1
    assert rows.get("a").version == 40


@check_rows("R6")
def concurrent_bulk_writes_all_count(rows: Rows) -> None:
    """Bulk writes of the same rows in any order, at once, neither block each other nor get lost."""
    rows.trial.db.create()
    ids = [f"{n}" for n in range(20)]

    def write(n: int) -> None:
        given = ids if n % 2 else ids[::-1]
        for m in range(3):
            rows.upsert_many([rows.new(id, {"n": n, "m": m}) for id in given])

    at_once(4, write)
    assert [row.version for row in rows.read()] == [12] * len(ids)


@check("R6")
def concurrent_first_writes_all_arrive(trial: Trial) -> None:
    """Many first writers at once, on a store that was never made, lose nothing."""
    others = [trial.open() for _ in range(4)]
    at_once(8, lambda n: trial.rows(others[n % 4]).add(f"id {n}", user_id=f"user {n % 3}"))
    assert sorted(trial.memories.ids()) == [f"id {n}" for n in range(8)]


@check("R6")
def a_row_is_taken_by_its_attributes(trial: Trial) -> None:
    """Any object with id, user_id and memory is a row; a missing id is made and set on it."""
    row = SimpleNamespace(id=None, user_id="ann", memory={"a": 1})
    stored = trial.db.upsert_memory(row)
    assert stored.id == row.id
    assert (stored.memory, stored.user_id) == ({"a": 1}, "ann")
    assert trial.db.memory_exists(row) is True
    assert trial.db.upsert_memories([row])[0].version == 2


@check("R6")
def what_is_no_row_is_refused(trial: Trial) -> None:
    """What has not the attributes of a row is refused by name, and nothing is stored."""
    for row in ({"memory": {"a": 1}}, "text", None, SimpleNamespace(id="a", memory={})):
        error = raises(MemoryDbError, trial.db.upsert_memory, row)
        assert type(row).__name__ in str(error)
    assert trial.memories.read() == []


@check_rows("R6")
def a_restored_row_is_stored_or_left_alone(rows: Rows) -> None:
    """Restoring stores rows that are new with all that they had, changes none that is there, and
    may be repeated."""
    store, kind, now = rows.trial.store, rows.kind, datetime.now(timezone.utc)
    made = datetime(2020, 1, 2, 3, 4, 5, 678901, timezone.utc)
    old = datetime(1960, 1, 2, 3, 4, 5, 678901, timezone.utc)
    there = rows.add("3", {"is": "there"})
    records = [
        Record(kind, user, f"{n}", {"n": n}, made, made + timedelta(n), n + 1, None, b"v")
        for n in range(6)
        for user in ("ann", "", None)
    ]
    records.append(Record(kind, "ann", "old", {}, old, old + timedelta(1), 2**40, None, b"v"))
    writes = [Write(record, now) for record in records]
    new = [record.key for record in records if record.key != Key("ann", "3")]
    assert store.restore(writes) == new
    assert store.restore(writes[2:] + writes[:2]) == []
    assert rows.get("3", user_id="ann") == there
    found = store.get_many(kind, new)
    for record in records:
        if record.key in new:
            stored = found[new.index(record.key)]._replace(stamp=None, position=None)
            assert stored == record
    (first, *rest) = store.page(kind, EVERYBODY, newest_first=False, after=None, limit=None)
    assert first.key == Key("ann", "3")
    assert {row.key: row for row in rest} == dict(zip(new, found, strict=True))
    for user in ("ann", "", None):
        of_user = [row.id for row in rest if row.user_id == user]
        assert of_user == [key.id for key in new if key.user_id == user]
    if kind is Kind.SUMMARY:
        return  # Once is enough for many rows.
    many = [Write(Record(kind, "bob", f"{n}", {}, made, made, 7), now) for n in range(1203)]
    assert store.restore(many[:700]) == [write.record.key for write in many[:700]]
    assert store.restore(many) == [write.record.key for write in many[700:]]
    assert rows.count("bob") == 1203
    assert rows.get("1000", user_id="bob").version == 7
