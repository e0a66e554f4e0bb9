"""R1, R16: reads of many rows by their ids."""

from __future__ import annotations

from buddy.memory.errors import AmbiguousIdError, CorruptMemoryError, InvalidMemoryError
from buddy.memory.storage.users import NOBODY
from buddy.memory.testing.assertions import raises
from buddy.memory.testing.backend_under_test import Rows, Trial
from buddy.memory.testing.check import check, check_rows

MANY = 300


@check_rows("R1")
def reads_by_ids_keep_the_order_asked(rows: Rows) -> None:
    """Rows come back in the order of the ids, None for what is not there, with a user or not."""
    stored = {id: rows.add(id, {"is": id}) for id in ("c", "a", "b", " ", "%")}
    rows.add("of nobody", user_id=None)
    asked = ["b", "none", "a", "%", "of nobody", " ", "c"]
    assert rows.get_many(asked, user_id="ann") == [stored.get(id) for id in asked]
    found = rows.get_many(asked)
    assert [row and row.id for row in found] == ["b", None, "a", "%", "of nobody", " ", "c"]
    assert [row and row.id for row in rows.get_many(["a", "of nobody"], user_id=NOBODY)] == [
        None,
        "of nobody",
    ]
    assert rows.get_many(["a", "b"], user_id="bob") == [None, None]


@check_rows("R1")
def reads_by_ids_take_any_number(rows: Rows) -> None:
    """No, one or thousands of ids are read; one given twice is read twice, as two rows."""
    assert rows.get_many([]) == rows.get_many([], user_id="ann") == []
    rows.upsert_many(rows.new(f"{n}", {"n": n, "list": []}) for n in range(1100))
    for user in ("ann", None):
        found = rows.get_many((f"{n}" for n in range(1199, -1, -1)), user_id=user)
        assert found[:100] == [None] * 100
        assert [rows.payload(row)["n"] for row in found[100:]] == list(range(1099, -1, -1))
        first, second = rows.get_many(["7", "7"], user_id=user)
        assert first == second
        rows.payload(first)["list"].append(1)
        assert rows.payload(second)["list"] == []


@check_rows("R1")
def ids_have_to_be_a_list(rows: Rows) -> None:
    """One string, or an id that is none, is refused, and nothing is read or deleted."""
    rows.add("a")
    for wrong in ("a", b"a", None, 7, ["a", ""], ["a", None], ["a\x00"]):
        raises(InvalidMemoryError, rows.get_many, wrong)
        raises(InvalidMemoryError, rows.get_many, wrong, user_id="ann")
        raises(InvalidMemoryError, rows.delete_many, wrong)
        raises(InvalidMemoryError, rows.delete_many, wrong, user_id="ann")
    assert rows.ids() == ["a"]


@check_rows("R1")
def an_id_of_hundreds_of_users_is_ambiguous(rows: Rows) -> None:
    """However many users have an id, a call by it alone is refused, and changes nothing."""
    rows.upsert_many(rows.new("same", user_id=f"user {n}") for n in range(MANY))
    rows.add("other")
    for call in (rows.get, rows.delete):
        raises(AmbiguousIdError, call, "same")
    for many in (rows.get_many, rows.delete_many):
        raises(AmbiguousIdError, many, ["other", "same"])
        raises(AmbiguousIdError, many, ["same", "other", "none"])
    assert rows.count() == MANY + 1
    assert rows.get_many(["none", "other"])[1].id == "other"
    assert rows.delete("same", user_id="user 7") is True


@check_rows("R1")
def the_first_ambiguous_id_is_named(rows: Rows) -> None:
    """Of several ambiguous ids the error names the first one of the call, on every backend."""
    rows.upsert_many(rows.new(id, user_id=user) for id in "bac" for user in ("ann", "bob"))
    for ids in (["a", "b"], ["b", "a"], ["none", "c", "a"], ["b", "c", "b"]):
        first = next(id for id in ids if id != "none")
        for call in (rows.get_many, rows.delete_many):
            assert raises(AmbiguousIdError, call, ids).id == first
    assert rows.count() == 6


@check_rows("R1")
def a_store_finds_two_rows_of_an_id_at_most(rows: Rows) -> None:
    """Store.find reads no more than two rows of an id that hundreds of users have."""
    store = rows.trial.store
    assert store.find(rows.kind, ["same"]) == []
    rows.upsert_many(rows.new("same", user_id=f"user {n}") for n in range(MANY))
    rows.upsert_many(rows.new(id, user_id="ann") for id in ("one", "two"))
    found = store.find(rows.kind, ["two", "same", "none", "one"])
    assert sorted({row.key for row in found if row.id != "same"}) == [
        ("ann", "one"),
        ("ann", "two"),
    ]
    assert len({row.key for row in found if row.id == "same"}) == 2
    assert len(found) == 4


@check("R16", "corrupt")
def a_damaged_row_fails_a_read_by_ids(trial: Trial) -> None:
    """A row that cannot be decoded fails a read by ids by its name, with a user or not."""
    rows = trial.memories
    for id in "abc":
        rows.add(id)
    assert trial.subject.corrupt is not None
    trial.subject.corrupt("b")
    for user in ("ann", None):
        assert raises(CorruptMemoryError, rows.get_many, ["a", "b"], user_id=user).id == "b"
        assert [row.id for row in rows.get_many(["c", "a"], user_id=user)] == ["c", "a"]
    assert rows.get_many(["b"], user_id="bob") == [None]
