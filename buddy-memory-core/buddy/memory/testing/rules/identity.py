"""R1: identity and ownership."""

from __future__ import annotations

from typing import Any

from buddy.memory.errors import AmbiguousIdError, InvalidMemoryError
from buddy.memory.storage.users import NOBODY
from buddy.memory.testing.assertions import at_once, raises
from buddy.memory.testing.backend_under_test import Rows, Trial
from buddy.memory.testing.check import check, check_rows
from buddy.memory.testing.rules.cases import STRANGE_KEYS


@check_rows("R1")
def any_string_is_an_id(rows: Rows) -> None:
    """Any non-empty string is an id, and no two of them are the same row."""
    for name, id in STRANGE_KEYS.items():
        rows.add(id, {"case": name})
    for name, id in STRANGE_KEYS.items():
        row = rows.get(id)
        assert row is not None, name
        assert (row.id, rows.payload(row)) == (id, {"case": name})
    assert rows.count() == len(STRANGE_KEYS)
    for name, id in STRANGE_KEYS.items():
        assert rows.delete(id), name
    assert rows.read() == []


@check_rows("R1")
def any_string_is_a_user(rows: Rows) -> None:
    """Any string is a user id, also the empty one, and each user has rows of its own."""
    users = {"empty": "", **STRANGE_KEYS}
    for name, user in users.items():
        rows.add(f"of {name}", user_id=user)
    for name, user in users.items():
        assert rows.ids(user) == [f"of {name}"], name
        assert rows.count(user) == 1, name
        assert rows.get(f"of {name}", user_id=user).user_id == user, name
    assert rows.trial.db.delete_user("*")
    assert rows.count() == len(users) - 1


@check_rows("R1")
def illegal_keys_are_refused(rows: Rows) -> None:
    """An id that is empty, no string, or holds U+0000 or a lone surrogate is refused."""
    bad: list[Any] = ["", "a\x00b", "\ud800", 7, b"x"]
    for id in bad:
        raises(InvalidMemoryError, rows.get, id)
        raises(InvalidMemoryError, rows.delete, id)
        raises(InvalidMemoryError, rows.upsert, rows.new(id, {"a": 1}))
        raises(InvalidMemoryError, rows.delete_many, ["fine", id])
    for user in bad[1:]:
        raises(InvalidMemoryError, rows.read, user)
        raises(InvalidMemoryError, rows.count, user)
        raises(InvalidMemoryError, rows.get, "x", user_id=user)
        raises(InvalidMemoryError, rows.upsert, rows.new("x", {"a": 1}, user))
    assert rows.read() == []


@check_rows("R1")
def a_row_is_named_by_its_user_and_its_id(rows: Rows) -> None:
    """Users have rows with the same id side by side, and nobody has one too."""
    users = ("ann", "bob", "", None, "Ann", "ann ")
    for n, user in enumerate(users):
        assert rows.add("same", {"n": n}, user).version == 1
    for n, user in enumerate(users):
        name = NOBODY if user is None else user
        row = rows.get("same", user_id=name)
        assert (row.user_id, rows.payload(row)) == (user, {"n": n})
        assert rows.ids(name) == ["same"]
    assert rows.add("same", {"n": 9}, "bob").version == 2
    assert rows.delete("same", user_id="ann") is True
    assert rows.get("same", user_id="ann") is None
    assert rows.count() == len(users) - 1
    assert rows.payload(rows.get("same", user_id="bob")) == {"n": 9}


@check_rows("R1")
def bulk_calls_keep_users_apart(rows: Rows) -> None:
    """Bulk writes, reads and deletions take one id of several users for several rows."""
    users = ("ann", "bob", None)
    stored = rows.upsert_many([rows.new(id, {"of": u}, u) for u in users for id in ("a", "b")])
    assert [(row.user_id, row.id) for row in stored] == [(u, id) for u in users for id in "ab"]
    assert [rows.payload(row) for row in stored] == [{"of": u} for u in users for _ in "ab"]
    again = rows.upsert_many([rows.new("a", {"n": 1}, "bob"), rows.new("a", {"n": 2}, "ann")])
    assert [(row.user_id, row.version) for row in again] == [("bob", 2), ("ann", 2)]
    found = rows.get_many(["b", "none", "a"], user_id="bob")
    assert [row and (row.user_id, row.id) for row in found] == [("bob", "b"), None, ("bob", "a")]
    assert rows.delete_many(["a"], user_id=NOBODY) == 1
    assert rows.count() == 5
    assert rows.delete_many(["a", "b"], user_id=NOBODY) == 1
    assert rows.delete_many(["a", "b"], user_id="bob") == 2
    assert rows.ids(sort="asc") == ["a", "b"]
    assert {row.user_id for row in rows.read()} == {"ann"}


@check_rows("R1")
def an_id_of_several_users_is_ambiguous(rows: Rows) -> None:
    """By id alone the one row that has the id is meant; of several nothing is read or deleted."""
    rows.add("one", user_id="ann")
    rows.add("two", user_id="ann")
    rows.add("two", user_id=None)
    assert rows.get("one").user_id == "ann"
    assert rows.get("none") is None
    for call in (rows.get, rows.delete, lambda id: rows.delete_many(["one", id])):
        error = raises(AmbiguousIdError, call, "two")
        assert error.id == "two"
        assert "ann" not in str(error)
    raises(AmbiguousIdError, rows.get_many, ["one", "two"])
    assert [row and row.id for row in rows.get_many(["none", "one"])] == [None, "one"]
    assert rows.count() == 3
    assert rows.delete("two", user_id=NOBODY) is True
    assert rows.get("two").user_id == "ann"
    assert rows.delete("two") is True
    assert rows.delete_many(["one", "two"]) == 1


@check_rows("R1")
def writers_of_one_id_do_not_meet(rows: Rows) -> None:
    """Many users who write one new id at once each have a row of their own."""
    rows.trial.db.create()
    for key in ("a", "b", "c"):
        stored = at_once(8, lambda n: rows.add(key, {"by": n}, f"user {n}"))  # noqa: B023
        assert [row.version for row in stored] == [1] * 8
        assert [rows.payload(rows.get(key, user_id=f"user {n}")) for n in range(8)] == [
            {"by": n} for n in range(8)
        ]


@check_rows("R1")
def another_users_row_does_not_exist(rows: Rows) -> None:
    """With user_id=, a row of another user can be neither read nor deleted by its id."""
    row = rows.add("a", user_id="ann")
    rows.add("b", user_id=None)
    for user in ("bob", "", "an", "ann "):
        assert rows.get("a", user_id=user) is None
        assert rows.get("b", user_id=user) is None
        assert rows.get_many(["a", "b"], user_id=user) == [None, None]
        assert rows.delete("a", user_id=user) is False
        assert rows.delete_many(["a", "b"], user_id=user) == 0
    assert rows.get("a", user_id=NOBODY) is None
    assert rows.get("a", user_id="ann") == row
    assert rows.delete_many(["a", "b"], user_id="ann") == 1
    assert rows.ids() == ["b"]


@check("R1")
def exists_speaks_of_exactly_that_row(trial: Trial) -> None:
    """memory_exists looks for the user and the id of the row; without a user it is nobody's."""
    rows = trial.memories
    assert trial.db.memory_exists(rows.new("a")) is False
    rows.add("a", user_id="ann")
    assert trial.db.memory_exists(rows.new("a", {"other": 1}, "ann")) is True
    assert trial.db.memory_exists(rows.new("a", user_id=None)) is False
    assert trial.db.memory_exists(rows.new("a", user_id="bob")) is False
    assert trial.db.memory_exists(rows.new("A")) is False
    rows.add("b", user_id=None)
    assert trial.db.memory_exists(rows.new("b", user_id=None)) is True
    assert trial.db.memory_exists(rows.new("b", user_id="")) is False
    rows.add("c", user_id="")
    assert trial.db.memory_exists(rows.new("c", user_id="")) is True
    assert trial.db.memory_exists(rows.new("c", user_id=None)) is False


@check("R1")
def memories_and_summaries_have_ids_of_their_own(trial: Trial) -> None:
    """A memory and a summary may share an id; they are different rows."""
    memory = trial.memories.add("same", {"m": 1}, "ann")
    summary = trial.summaries.add("same", {"s": 1}, "bob")
    assert trial.memories.get("same") == memory
    assert trial.summaries.get("same") == summary
    assert trial.memories.delete("same")
    assert trial.summaries.get("same") == summary


@check("R1")
def a_missing_id_is_made(trial: Trial) -> None:
    """A missing id is made from the content in v1, where blanks count, and is fresh in v2."""
    rows = trial.memories
    first, second = (rows.upsert(rows.new(None, {"m": "therapist called"})) for _ in range(2))
    spaced = rows.upsert(rows.new(None, {"m": "the rapist called"}))
    others = rows.upsert(rows.new(None, {"m": "therapist called"}, "bob"))
    assert len({first.id, spaced.id, others.id}) == 3
    assert (first.id == second.id) is (trial.version == 1)
    row = rows.new(None, {"m": "again"})
    assert rows.upsert(row).id == rows.upsert(row).id
