"""R5: the users of a store."""

from __future__ import annotations

from typing import Any

from buddy.memory.errors import ConfigError, InvalidMemoryError
from buddy.memory.storage.users import NOBODY
from buddy.memory.testing.assertions import raises
from buddy.memory.testing.backend_under_test import Rows, Trial
from buddy.memory.testing.check import check, check_rows
from buddy.memory.testing.rules.scopes import PREFIXES, USERS

NAMED = sorted(user for user in USERS if user is not None)
"""Python compares strings by code points."""


def _fill(rows: Rows) -> None:
    rows.upsert_many([rows.new(f"{n}", user_id=user) for user in USERS[::-1] for n in range(2)])


@check_rows("R5")
def users_are_listed_in_code_point_order(rows: Rows) -> None:
    """list_users returns each user who has a row once, in code-point order, and never nobody."""
    db = rows.trial.db
    assert db.list_users() == []
    assert db.table_exists() is False
    _fill(rows)
    assert db.list_users() == NAMED


@check_rows("R5")
def users_are_listed_by_prefix_and_pages(rows: Rows) -> None:
    """list_users takes a prefix, a user to come behind, who need not be there, and a limit."""
    db = rows.trial.db
    _fill(rows)
    for prefix in PREFIXES:
        expected = [user for user in NAMED if user.startswith(prefix)]
        assert db.list_users(prefix=prefix) == expected, ascii(prefix)
        assert db.list_users(prefix=prefix, limit=2) == expected[:2], ascii(prefix)
        for after in ("", "a", "a\ud7ff\ud7ff", "ab", "b", "\U0010ffff"):
            behind = [user for user in expected if user > after]
            assert db.list_users(prefix=prefix, after=after) == behind, ascii((prefix, after))
    seen: list[str] = []
    while page := db.list_users(after=seen[-1] if seen else None, limit=5):
        seen += page
        assert len(seen) <= len(NAMED)
    assert seen == NAMED


@check("R5")
def users_of_summaries_are_listed_too(trial: Trial) -> None:
    """A user who has a summary only is listed, and one who has both kinds is listed once."""
    for user in ("cid", "ann", None):
        trial.summaries.add("s", user_id=user)
    for user in ("bob", "ann"):
        trial.memories.add("m", user_id=user)
    assert trial.db.list_users() == ["ann", "bob", "cid"]
    assert trial.db.list_users(limit=2) == ["ann", "bob"]
    assert trial.db.list_users(after="ann", limit=2) == ["bob", "cid"]
    trial.summaries.delete("s", user_id="cid")
    trial.memories.delete("m", user_id="ann")
    assert trial.db.list_users() == ["ann", "bob"]


@check_rows("R5")
def a_user_without_rows_is_not_listed(rows: Rows) -> None:
    """A user is listed for as long as there is a row, however the last one is deleted."""
    db = rows.trial.db

    def fill() -> None:
        rows.upsert_many(rows.new(id, user_id=user) for user in ("ann", "bob") for id in "xy")

    deletions: tuple[Any, ...] = (
        lambda: [rows.delete(id, user_id="ann") for id in "xy"],
        lambda: rows.delete_many(["x", "y"], user_id="ann"),
        lambda: db.delete_user("ann"),
        lambda: db.delete_users(user_prefix="an"),
        lambda: db.forget_user("ann"),
    )
    for delete in deletions:
        fill()
        rows.delete("x", user_id="bob")
        assert db.list_users() == ["ann", "bob"]
        delete()
        assert db.list_users() == ["bob"]
    fill()
    db.clear()
    assert db.list_users() == []
    fill()
    db.drop_table()
    assert db.list_users() == []


@check_rows("R5")
def wrong_arguments_of_a_list_of_users_are_errors(rows: Rows) -> None:
    """A limit of 0 lists nobody; another one than an int >= 0 or None is a ConfigError."""
    rows.add("a")
    db = rows.trial.db
    assert db.list_users(limit=0) == []
    for limit in (-1, "1", 1.5, True, 2**63):
        raises(ConfigError, db.list_users, limit=limit)
    for wrong in ("a\x00", "\ud800", 7, NOBODY):
        raises(InvalidMemoryError, db.list_users, prefix=wrong)
    for wrong in ("a\x00", "\ud800", 7):
        raises(InvalidMemoryError, db.list_users, after=wrong)
