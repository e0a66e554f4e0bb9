"""R1: identity and ownership."""

from __future__ import annotations

from typing import Any

from buddy.memory.errors import InvalidMemoryError, OwnerMismatchError
from buddy.memory.testing.check import check, check_rows
from buddy.memory.testing.expect import at_once, raises
from buddy.memory.testing.rules.cases import STRANGE_KEYS
from buddy.memory.testing.subject import Rows, Trial


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
def the_owner_is_fixed_by_the_first_write(rows: Rows) -> None:
    """An upsert of an id that another user owns raises OwnerMismatchError and changes nothing."""
    for id, owner, other in (
        ("a", "ann", "bob"),
        ("b", None, "bob"),
        ("c", "ann", None),
        ("d", "", None),
    ):
        before = rows.add(id, {"of": owner}, owner)
        error = raises(OwnerMismatchError, rows.add, id, {"of": other}, other)
        assert "ann" not in str(error).replace(repr(id), "")
        raises(OwnerMismatchError, rows.upsert_many, [rows.new(id, {}, other)])
        assert rows.get(id) == before


@check_rows("R1")
def of_many_owners_at_once_one_wins(rows: Rows) -> None:
    """Of many users who write one new id at once, one owns it and the others are refused."""
    rows.trial.db.create()

    def write(n: int) -> str | None:
        try:
            stored = rows.add(key, {"by": n}, f"user {n}")
        except OwnerMismatchError:
            return None
        assert rows.payload(stored) == {"by": n}
        return f"user {n}"

    for key in ("a", "b", "c"):
        (owner,) = filter(None, at_once(8, write))
        assert (rows.get(key).user_id, rows.get(key).version) == (owner, 1)


@check_rows("R1")
def another_users_row_does_not_exist(rows: Rows) -> None:
    """With user_id=, a row of another user can be neither read nor deleted by its id."""
    row = rows.add("a", user_id="ann")
    rows.add("b", user_id=None)
    for user in ("bob", "", "an", "ann "):
        assert rows.get("a", user_id=user) is None
        assert rows.get("b", user_id=user) is None
        assert rows.delete("a", user_id=user) is False
        assert rows.delete_many(["a", "b"], user_id=user) == 0
    assert rows.get("a", user_id="ann") == row
    assert rows.delete_many(["a", "b"], user_id="ann") == 1
    assert rows.ids() == ["b"]


@check("R1")
def a_row_that_is_not_stored_does_not_exist(trial: Trial) -> None:
    """memory_exists looks for the id, and for the owner where the row names one."""
    rows = trial.memories
    assert trial.db.memory_exists(rows.new("a")) is False
    rows.add("a", user_id="ann")
    assert trial.db.memory_exists(rows.new("a", {"other": 1}, "ann")) is True
    assert trial.db.memory_exists(rows.new("a", user_id=None)) is True
    assert trial.db.memory_exists(rows.new("a", user_id="bob")) is False
    assert trial.db.memory_exists(rows.new("A")) is False
    rows.add("b", user_id=None)
    assert trial.db.memory_exists(rows.new("b", user_id="")) is False
    rows.add("c", user_id="")
    assert trial.db.memory_exists(rows.new("c", user_id="")) is True


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
