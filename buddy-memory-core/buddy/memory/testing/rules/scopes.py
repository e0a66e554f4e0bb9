"""R4, R5: limit and scope."""

from __future__ import annotations

from typing import Any

from buddy.memory.errors import ConfigError, InvalidMemoryError
from buddy.memory.storage.users import NOBODY
from buddy.memory.testing.assertions import raises
from buddy.memory.testing.backend_under_test import Rows, Trial
from buddy.memory.testing.check import check, check_rows
from buddy.memory.testing.rules.order import fill


@check_rows("R4")
def limit_is_the_first_n(rows: Rows) -> None:
    """None reads all, 0 none, N the first N of that user in the asked order."""
    ids = fill(rows, 5)
    assert rows.ids("ann", 1) == rows.ids(limit=1) == [ids[-1]]
    rows.add("of bob", user_id="bob")
    assert rows.ids("ann", 2) == [ids[4], ids[3]]
    assert rows.ids("bob", 2, "asc") == ["of bob"]
    rows.delete("of bob")
    assert rows.ids(limit=None) == ids[::-1]
    assert rows.read(limit=0) == []
    for n in (1, 4, 5, 6, 2**40):
        assert rows.ids(limit=n) == ids[::-1][:n], n
        assert rows.ids("ann", n, "asc") == ids[:n], n


@check_rows("R4")
def a_wrong_limit_is_an_error(rows: Rows) -> None:
    """A limit that is negative or no int is a ValueError."""
    rows.add("a")
    wrong: list[Any] = [-1, -(10**30), 10**30, "1", 1.5, True]
    for limit in wrong:
        raises(ValueError, rows.read, limit=limit)
        raises(ValueError, rows.read, "ann", limit, "asc")


@check_rows("R5")
def no_user_means_all_users(rows: Rows) -> None:
    """user_id=None reads and counts all users, also rows that have none."""
    for n, user in enumerate(("ann", "bob", None, "")):
        rows.add(str(n), user_id=user)
    assert rows.ids(sort="asc") == ["0", "1", "2", "3"]
    assert rows.count() == 4
    assert (rows.ids("bob"), rows.count("bob")) == (["1"], 1)
    assert (rows.ids(""), rows.count("")) == (["3"], 1)
    assert (rows.ids("nobody"), rows.count("nobody")) == ([], 0)


@check_rows("R5")
def a_table_that_was_never_made_reads_as_empty(rows: Rows) -> None:
    """A table that was never made reads as empty, and reading or deleting does not make it."""
    assert rows.read() == rows.read("ann", 3, "asc") == list(rows.iter()) == []
    assert list(rows.iter(user_prefix="a")) == rows.page().rows == []
    assert rows.count() == rows.count("ann") == rows.count(user_prefix="a") == 0
    assert rows.get("a") is rows.get("a", user_id="ann") is None
    assert rows.get_many(["a", "b"]) == rows.get_many(["a", "b"], user_id="ann") == [None, None]
    assert rows.delete("a") is rows.delete("a", user_id="ann") is False
    assert rows.delete_many(["a", "b"]) == rows.delete_many(["a", "b"], user_id="ann") == 0
    assert rows.trial.db.table_exists() is False


@check("R5")
def clean_up_does_not_make_the_table(trial: Trial) -> None:
    """Deletions of users, clear and ping find nothing in a table that was never made, and do not
    make it."""
    assert trial.db.memory_exists(trial.memories.new("a")) is False
    assert trial.db.list_users() == []
    for deleted in (trial.db.delete_user("ann"), trial.db.delete_users(user_prefix="a")):
        assert deleted == {"memories": 0, "summaries": 0}
    assert trial.db.clear() is True
    trial.db.ping()
    assert trial.db.table_exists() is False
    trial.db.drop_table()
    assert trial.db.table_exists() is False


@check_rows("R5")
def the_first_write_makes_the_table(rows: Rows) -> None:
    """The first write makes the table, single or bulk, and again after a drop."""
    rows.add("a")
    assert rows.trial.db.table_exists() is True
    assert rows.ids() == ["a"]
    rows.trial.db.drop_table()
    assert rows.trial.db.table_exists() is False
    assert rows.read() == []
    rows.upsert_many([rows.new("b")])
    assert rows.trial.db.table_exists() is True
    assert rows.ids() == ["b"]


USERS = (
    *("a", "ab", "a/b", "a\ud7ff", "a\ue000", "a\ue000x", "a\uffff", "a\U00010000", "a\U0010ffff"),
    *(
        "A",
        "b",
        "",
        None,
        "\x01",
        "\x01\x01",
        "\x01x",
        "\x02",
        " ",
        "%",
        "%x",
        "_",
        "_x",
        "*",
        "*x",
    ),
    *("?", "[", "[a", "\\", "\\x", "'", "é", "e\u0301", "\U0010ffff", "\U0010ffff\U0010ffff"),
)
"""Users that a pattern, a range or an order of anything but code points would mix up."""

PREFIXES = (
    *("", "a", "ab", "a\ud7ff", "a\ue000", "a\uffff", "a\U00010000", "a\U0010ffff", "A", "abc"),
    *("\x01", "\x01\x01", "\x02", "%", "_", "*", "[", "?", "\\", "'", "e", "é", "\U0010ffff"),
)


def _fill_users(rows: Rows) -> None:
    """Store a row of each of USERS, whose id is its number, and a second one of most of them."""
    rows.upsert_many([rows.new(str(n), user_id=user) for n, user in enumerate(USERS)])
    rows.upsert_many([rows.new(f"2-{n}", user_id=user) for n, user in enumerate(USERS) if n % 3])


def _under(prefix: str) -> list[str]:
    """Return the ids of the rows of the users under a prefix, oldest first."""
    found = [n for n, user in enumerate(USERS) if user is not None and user.startswith(prefix)]
    return [*map(str, found), *[f"2-{n}" for n in found if n % 3]]


@check_rows("R5")
def a_prefix_means_the_users_that_begin_with_it(rows: Rows) -> None:
    """Iteration, pages and counts by user_prefix take the users that begin with these code points,
    "" every named one; no character is a pattern, and nobody is in none."""
    _fill_users(rows)
    for prefix in PREFIXES:
        expected = _under(prefix)
        found = [row.id for row in rows.iter(sort="asc", page_size=7, user_prefix=prefix)]
        assert sorted(found) == sorted(expected), ascii(prefix)
        assert rows.count(user_prefix=prefix) == len(expected), ascii(prefix)
        newest = [row.id for row in rows.page(limit=3, user_prefix=prefix).rows]
        assert newest == found[:-4:-1], ascii(prefix)


@check_rows("R5")
def a_read_takes_a_prefix(rows: Rows) -> None:
    """Reads by user_prefix return the rows of its users in their order, with limits."""
    _fill_users(rows)
    for prefix in PREFIXES:
        expected = sorted(_under(prefix))
        assert sorted(rows.ids(user_prefix=prefix)) == expected, ascii(prefix)
    found = rows.ids(user_prefix="a", sort="asc")
    assert rows.ids(user_prefix="a", limit=4) == found[:-5:-1]
    assert rows.ids(user_prefix="a", limit=4, sort="asc") == found[:4]
    assert rows.ids(user_prefix="no such user") == rows.ids(user_prefix="a", limit=0) == []


@check_rows("R5")
def a_listing_takes_a_user_or_a_prefix(rows: Rows) -> None:
    """user_id together with user_prefix is a ConfigError; what is no prefix is refused."""
    rows.add("a", user_id="ann")
    for user in ("ann", NOBODY):
        for call in (rows.iter, rows.count, rows.page):
            raises(ConfigError, call, user, user_prefix="a")
    for prefix in ("a\x00", "\ud800", 7, b"a", ["a"]):
        for call in (rows.iter, rows.count, rows.page):
            raises(InvalidMemoryError, call, user_prefix=prefix)
    raises(ConfigError, rows.read, "ann", user_prefix="a")
    raises(InvalidMemoryError, rows.read, user_prefix=7)
