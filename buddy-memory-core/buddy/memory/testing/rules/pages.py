"""R3: pages by cursor."""

from __future__ import annotations

import string
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from itertools import product
from typing import Any

from buddy.memory.errors import ConfigError
from buddy.memory.storage.users import NOBODY
from buddy.memory.testing.assertions import logged, raises
from buddy.memory.testing.backend_under_test import Rows, Trial
from buddy.memory.testing.check import check, check_rows
from buddy.memory.testing.rules.order import fill

URL_SAFE = set(string.ascii_letters + string.digits + "-_.~")
MANY = 100


def pages(rows: Rows, limit: int, **listing: Any) -> Iterator[Any]:
    """Yield the pages of a listing; fails where they do not end."""
    after = None
    for _ in range(MANY):
        page = rows.page(limit=limit, after=after, **listing)
        yield page
        after = page.next
        if after is None:
            return
    raise AssertionError("the pages do not end")


@check_rows("R3")
def cursors_lead_through_a_listing(rows: Rows) -> None:
    """Pages of any size, put together, are the listing; the last one, and only it, has no next."""
    fill(rows, 7)
    rows.add("of bob", user_id="bob")
    rows.upsert_many([rows.new(f"of nobody {n}", user_id=None) for n in range(3)])
    for scope in ({"user_id": "ann"}, {"user_prefix": "a"}, {"user_id": NOBODY}, {}):
        for sort in ("asc", "desc", None):
            listing = {"sort": sort, **scope}
            expected = list(rows.iter(**listing))
            for limit in range(1, len(expected) + 2):
                found = [(page.rows, page.next) for page in pages(rows, limit, **listing)]
                assert [row for page, _ in found for row in page] == expected, (listing, limit)
                assert len(found) == -(-len(expected) // limit), (listing, limit)
                assert all(next is None or set(next) <= URL_SAFE for _, next in found)
    nothing = rows.page("no such user")
    assert (nothing.rows, nothing.next) == ([], None)


@check_rows("R3")
def a_cursor_belongs_to_its_listing(rows: Rows) -> None:
    """With another user, prefix, order or kind, changed, or made up, a cursor is a ConfigError."""
    fill(rows, 3)
    rows.upsert_many([rows.new(id, user_id=user) for user in ("anna", None) for id in "xyz"])
    cursor = rows.page("ann", limit=1).next
    assert rows.page("ann", limit=9, after=cursor).next is None
    others: tuple[dict[str, Any], ...] = (
        {"user_id": "anna"},
        {"user_id": "ann", "sort": "asc"},
        {"user_id": NOBODY},
        {"user_prefix": "ann"},
        {"user_prefix": ""},
        {},
    )
    for listing in others:
        raises(ConfigError, rows.page, limit=1, after=cursor, **listing)
    # The last character may hold bits that mean nothing.
    for place in range(len(cursor) - 1):
        changed = "B" if cursor[place] == "A" else "A"
        forged = cursor[:place] + changed + cursor[place + 1 :]
        raises(ConfigError, rows.page, "ann", limit=1, after=forged)
    made_up: list[Any] = ["", "x", cursor[:-2], cursor * 2, "é", "\ud800", "1", "a" * 10_000]
    for wrong in [*made_up, 7, b"x", []]:
        raises(ConfigError, rows.page, "ann", limit=1, after=wrong)


@check("R3")
def a_cursor_belongs_to_its_kind(trial: Trial) -> None:
    """The cursor of a page of memories is none of summaries."""
    for rows in (trial.memories, trial.summaries):
        fill(rows, 3)
    raises(ConfigError, trial.summaries.page, after=trial.memories.page(limit=1).next)


@check_rows("R3")
def a_cursor_tells_no_name(rows: Rows) -> None:
    """A cursor does not hold the text of a user or an id, neither plainly nor in base64."""
    user, ids = "mildred@example.org", ("crimson-owl", "scarlet-fox", "vermilion-cat")
    for id in ids:
        rows.add(id, user_id=user)
    for scope in ({"user_id": user}, {"user_prefix": "mildred"}, {}):
        cursor = rows.page(limit=1, **scope).next
        decoded = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        for name in (user, "mildred", *ids):
            assert name not in cursor
            assert name.encode() not in decoded


@check_rows("R3")
def cursors_do_not_move_while_rows_are_deleted(rows: Rows) -> None:
    """Rows that are deleted or added between two pages make them neither skip nor repeat others."""
    ids = fill(rows, 8)
    for sort in ("asc", "desc"):
        left = rows.ids("ann", sort=sort)
        page = rows.page("ann", limit=3, sort=sort)
        assert [row.id for row in page.rows] == left[:3]
        rows.delete_many([left[0], left[2], left[4]], user_id="ann")
        rows.add("new", user_id="bob")
        page = rows.page("ann", limit=9, sort=sort, after=page.next)
        assert [row.id for row in page.rows] == [left[3], *left[5:]], sort
        rows.upsert_many([rows.new(id) for id in ids])


@check_rows("R3")
def a_cursor_does_not_outlive_its_store(rows: Rows) -> None:
    """After a drop, by whichever object, a cursor is a ConfigError, or what was written since is
    behind it."""
    other = rows.trial.rows(rows.trial.open(), rows.kind)
    for sort, dropping in product(("asc", "desc"), (rows, other)):
        fill(rows, 5)
        cursor = rows.page("ann", limit=2, sort=sort).next
        dropping.db.drop_table()
        written = fill(dropping, 4)
        try:
            page = rows.page("ann", limit=9, sort=sort, after=cursor)
        except ConfigError:
            continue
        assert [row.id for row in page.rows] == (written if sort == "asc" else [])


@check_rows("R3")
def a_place_is_given_once(rows: Rows) -> None:
    """A row that is written after the newest ones were deleted is behind every cursor."""
    for sort in ("asc", "desc"):
        first, *newest = fill(rows, 3)
        cursor = rows.page("ann", limit=1, sort=sort).next
        rows.delete_many(newest, user_id="ann")
        rows.add("new")
        page = rows.page("ann", limit=9, sort=sort, after=cursor)
        assert [row.id for row in page.rows] == ["new" if sort == "asc" else first]
        rows.delete_many([first, "new"], user_id="ann")


@check_rows("R3")
def a_page_has_at_least_one_row(rows: Rows) -> None:
    """The limit of a page is an int that is at least 1, and its sort one of the three."""
    rows.add("a")
    for limit in (0, -1, None, True, "1", 1.5, 2**63):
        raises(ValueError, rows.page, limit=limit)
    for sort in ("", "ASC", "newest", True):
        raises(ValueError, rows.page, sort=sort)


@check("R4", "corrupt")
def a_page_counts_readable_rows(trial: Trial) -> None:
    """An unreadable row neither takes a readable one's place on a page nor ends the pages."""
    rows = trial.memories
    for id in "abcdefgh":
        rows.add(id)
    assert trial.subject.corrupt is not None
    for id in "agh":
        trial.subject.corrupt(id)
    with logged():
        for limit in range(1, 7):
            found = [[row.id for row in page.rows] for page in pages(rows, limit, user_id="ann")]
            assert "".join(id for page in found for id in page) == "fedcb", limit
            assert all(len(page) == limit for page in found[:-1]), limit
