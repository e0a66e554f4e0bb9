"""R13: lost updates."""

from __future__ import annotations

from buddy.memory.errors import ConfigError, ConflictError
from buddy.memory.testing.assertions import at_once, raises
from buddy.memory.testing.backend_under_test import Rows, Trial
from buddy.memory.testing.check import check, check_rows


@check_rows("R13")
def a_version_counts_the_writes(rows: Rows) -> None:
    """A row's version counts its writes from 1, single and bulk, and starts anew after a delete."""
    assert [rows.add("a", {"n": n}).version for n in range(3)] == [1, 2, 3]
    assert rows.upsert_many([rows.new("a"), rows.new("b")])[0].version == 4
    assert [row.version for row in rows.read(sort="asc")] == [4, 1]
    rows.delete("a")
    assert rows.add("a").version == 1


@check("R13")
def a_version_counts_beyond_a_byte(trial: Trial) -> None:
    """The version of a row that is written 260 times is 260."""
    rows = trial.memories
    for n in range(1, 261):
        assert rows.add("a", {"n": n}).version == n
    assert (rows.get("a").version, rows.payload(rows.get("a"))) == (260, {"n": 260})
    assert rows.count() == 1


@check_rows("R13")
def an_update_happens_only_at_the_expected_version(rows: Rows) -> None:
    """upsert with if_version raises ConflictError, and changes nothing, at any other version."""
    first = rows.add("a", {"n": 1}, if_version=0)
    assert first.version == 1
    second = rows.add("a", {"n": 2}, if_version=1)
    assert (second.version, rows.payload(second)) == (2, {"n": 2})
    assert second.created_at == first.created_at
    assert rows.updated(second) > rows.updated(first)
    for wrong in (0, 1, 3, 99, 2**62):
        error = raises(ConflictError, rows.add, "a", {"n": 9}, if_version=wrong)
        assert (error.id, error.expected, error.actual) == ("a", wrong, 2)
    assert rows.get("a") == second
    error = raises(ConflictError, rows.add, "none", if_version=1)
    assert error.actual == 0
    assert rows.get("none") is None


@check_rows("R13")
def a_deletion_happens_only_at_the_expected_version(rows: Rows) -> None:
    """delete with if_version raises ConflictError at any other version, where no row has 0."""
    rows.add("a")
    rows.add("a")
    for wrong in (0, 1, 3):
        assert raises(ConflictError, rows.delete, "a", if_version=wrong).actual == 2
    assert raises(ConflictError, rows.delete, "a", user_id="bob", if_version=2).actual == 0
    assert rows.delete("a", user_id="ann", if_version=2) is True
    assert raises(ConflictError, rows.delete, "a", if_version=2).actual == 0
    assert rows.delete("a", if_version=0) is False


@check_rows("R13")
def a_deletion_and_an_update_do_not_both_happen(rows: Rows) -> None:
    """Of updates and deletions at once that expect one version, one succeeds."""

    def change(n: int) -> bool:
        try:
            if n % 2 == number % 2:
                return bool(rows.add(key, {"by": n}, if_version=1))
            return bool(rows.delete(key, if_version=1))
        except ConflictError:
            return False

    for number in range(4):
        key = f"{number}"
        rows.add(key)
        assert at_once(4, change).count(True) == 1, key


@check_rows("R13")
def versions_of_users_are_apart(rows: Rows) -> None:
    """A version is expected of the row of that user, whatever another user's row of the id has."""
    row = rows.add("a", user_id="ann")
    assert raises(ConflictError, rows.add, "a", {}, "bob", if_version=1).actual == 0
    assert rows.add("a", {}, "bob", if_version=0).version == 1
    assert rows.get("a", user_id="ann") == row


@check_rows("R13")
def a_wrong_version_is_an_error(rows: Rows) -> None:
    """if_version is an int that is not negative."""
    for version in (-1, "1", 1.0, True, 2**63):
        raises(ConfigError, rows.add, "a", if_version=version)
        raises(ConfigError, rows.delete, "a", if_version=version)
    assert rows.read() == []


@check_rows("R13")
def concurrent_changes_are_not_lost(rows: Rows) -> None:
    """Threads that read, change and write with if_version lose no change."""
    rows.add("a", {"n": 0})

    def increment(_: int) -> None:
        done = 0
        while done < 5:
            row = rows.get("a")
            n = rows.payload(row)["n"] + 1
            try:
                rows.add("a", {"n": n}, if_version=row.version)
                done += 1
            except ConflictError:
                continue

    at_once(4, increment)
    assert rows.payload(rows.get("a")) == {"n": 20}
    assert rows.get("a").version == 21


@check_rows("R13")
def only_one_creator_wins(rows: Rows) -> None:
    """Of many that create one id with if_version=0, one succeeds."""
    rows.trial.db.create()

    def create(n: int) -> bool:
        try:
            rows.add("a", {"by": n}, if_version=0)
        except ConflictError:
            return False
        return True

    assert at_once(8, create).count(True) == 1
    assert rows.get("a").version == 1
