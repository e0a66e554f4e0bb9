"""R1: names that a database may take for one, and names that it may take for a pattern."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from buddy.memory.errors import InvalidMemoryError
from buddy.memory.testing.backend_under_test import Rows
from buddy.memory.testing.check import check_rows
from buddy.memory.testing.rules.cases import STRANGE_KEYS

SIMILAR = {
    "a blank behind": ("a", "a "),
    "a blank before": ("a", " a"),
    "case of a letter with an accent": ("É", "é"),
    "an accent": ("e", "é"),
    "two forms of one letter": ("\u00e9", "e\u0301"),
    "two emoji": ("🍵", "🍰"),
    "a blank without width": ("ab", "a\u200bb"),
    "a ligature": ("ﬁ", "fi"),
    "a leading nought": ("1", "01"),
    "tab and blank": ("a\tb", "a b"),
    "ends of lines": ("a\nb", "a\r\nb"),
    **{
        f"equal in the first {length:,} characters": ("x" * length + "1", "x" * length + "2")
        for length in (501, 701, 1_025, 5_000)
    },
}
"""Pairs of names that are two."""


SEPARATORS = (*"#:/|@.,;-_~ \t\n\x1c\x1e\x1f\\%&=+$\uffff", "##", "::", "%23", "%2F")
"""Texts by which a store may join a user and an id to one key."""


def _taken(write: Callable[[], Any]) -> bool:
    """Tell whether a name is taken; a backend may refuse a long one, and never cuts it."""
    try:
        write()
    except InvalidMemoryError:
        return False
    return True


@check_rows("R1")
def similar_ids_are_two(rows: Rows) -> None:
    """Ids that differ in case, accents, blanks, widths or their last character are two rows."""
    for name, (one, other) in SIMILAR.items():
        if not _taken(lambda: rows.add(one, {"is": "one"})):  # noqa: B023
            assert len(one) > 500, name
            continue
        assert (rows.get(other), rows.get(other, user_id="ann")) == (None, None), name
        assert rows.add(other, {"is": "other"}).version == 1, name
        assert rows.payload(rows.get(one)) == {"is": "one"}, name
        assert rows.delete(one) is True, name
        assert rows.payload(rows.get(other)) == {"is": "other"}, name
        assert rows.delete_many([one, other]) == 1, name
    assert rows.count() == 0


@check_rows("R1")
def similar_users_are_two(rows: Rows) -> None:
    """Users that differ in case, accents, blanks, widths or their last character are two."""
    for name, (one, other) in SIMILAR.items():
        if not _taken(lambda: rows.add("id", {"is": "one"}, one)):  # noqa: B023
            assert len(one) > 500, name
            continue
        assert rows.read(other) == [], name
        assert rows.get("id", user_id=other) is None, name
        assert rows.add("id", {"is": "other"}, other).version == 1, name
        assert [rows.payload(row) for row in rows.read(one)] == [{"is": "one"}], name
        assert sum(rows.trial.db.delete_user(one).values()) == 1, name
        assert rows.count(one) == 0, name
        assert [rows.payload(row) for row in rows.read(other)] == [{"is": "other"}], name
        assert sum(rows.trial.db.delete_user(other).values()) == 1, name


@check_rows("R1")
def a_bulk_deletion_takes_what_it_names(rows: Rows) -> None:
    """A bulk deletion deletes the rows that it names, each alone or among missing ones, and no
    other row."""
    rows.upsert_many(rows.new(id) for id in STRANGE_KEYS.values())
    left = set(STRANGE_KEYS.values())
    for number, (name, id) in enumerate(STRANGE_KEYS.items()):
        among = ([id], ["none", id], ["none 1", id, "none 2"])[number % 3]
        user = {"user_id": "ann"} if number % 2 else {}
        assert rows.delete_many(among, **user) == 1, name
        left.remove(id)
        assert set(rows.ids()) == left, name


@check_rows("R1")
def a_deleted_user_is_no_pattern(rows: Rows) -> None:
    """delete_user deletes the rows of the user that it names, and those of no other."""
    users = {"empty": "", **STRANGE_KEYS}
    rows.upsert_many(rows.new("id", user_id=user) for user in users.values())
    left = set(users.values())
    for name, user in users.items():
        assert sum(rows.trial.db.delete_user(user).values()) == 1, name
        left.remove(user)
        assert {row.user_id for row in rows.read()} == left, name


@check_rows("R1")
def a_user_and_an_id_are_not_joined(rows: Rows) -> None:
    """A user and an id whose texts joined are those of another user and id are another row."""
    # A user that ends in what escapes the separator, where that itself is not escaped.
    escaped = [(separator, f"a{escape}") for separator in ":/#" for escape in ("\\", "%", "~")]
    for separator, user in [*((separator, "a") for separator in SEPARATORS), *escaped]:
        one = rows.add(f"b{separator}c", {"is": "one"}, user)
        other = rows.add("c", {"is": "other"}, f"a{separator}b")
        assert (one.version, other.version) == (1, 1), repr(separator)
        assert rows.get(one.id, user_id=one.user_id) == one, repr(separator)
        assert rows.get(other.id, user_id=other.user_id) == other, repr(separator)
        assert rows.delete(other.id, user_id=other.user_id) is True
        assert rows.ids(user) == [one.id], repr(separator)
        assert rows.delete(one.id, user_id=one.user_id) is True
