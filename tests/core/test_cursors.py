"""Cursors: read by the listing that made them, and by no other."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buddy.memory.errors import ConfigError
from buddy.memory.storage import cursors
from buddy.memory.storage.cursors import Listing
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.record import EVERYBODY, Kind, Scope
from buddy.memory.v2.db.schema import MemoryRow
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb

LISTING = Listing(Kind.MEMORY, Scope.of_user("ann"), True, "g1")
OTHERS = {
    "kind": LISTING._replace(kind=Kind.SUMMARY),
    "user": LISTING._replace(scope=Scope.of_user("anna")),
    "nobody": LISTING._replace(scope=Scope.of_user(None)),
    "prefix": LISTING._replace(scope=Scope.of_prefix("ann")),
    "everybody": LISTING._replace(scope=EVERYBODY),
    "order": LISTING._replace(newest_first=False),
    "generation": LISTING._replace(generation="g2"),
}

WORDS = st.text("0123456789abcdefXYZ_", max_size=30)


@given(st.integers(-(2**63) + 1, 2**63 - 1) | WORDS)
def test_a_place_comes_back(place: int | str) -> None:
    """The place of a cursor is what it was made with, and its text travels in a URL as it is."""
    cursor = cursors.encode(LISTING, place)
    assert cursors.decode(LISTING, cursor, type(place)) == place
    assert cursor.replace("-", "").replace("_", "").isalnum()
    assert cursor.isascii()


@pytest.mark.parametrize("other", OTHERS)
def test_a_cursor_of_another_listing(other: str) -> None:
    """A cursor of another kind, scope, order or generation is refused, and says what to do."""
    with pytest.raises(ConfigError, match="Start again without it"):
        cursors.decode(LISTING, cursors.encode(OTHERS[other], 7), int)


def _cursor(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


NO_CURSORS: list[Any] = [
    *("", "a", "====", "é", "\ud800", "null", " ", "a b", "A" * 4097, "A" * 1_000_000),
    *map(_cursor, ("null", "7", "[]", "[1]", "[1,2,3]", '{"a":1}', "[null,null]", "[1.5,true]")),
    *map(_cursor, ("[" * 2000, '[1,"x"]', "[true,1]", f"[{10**30},1]", "[[],1]", "nan", '["')),
    *(None, 7, b"abc", ["a"]),
]


@pytest.mark.parametrize("text", NO_CURSORS, ids=lambda text: ascii(text)[:20])
def test_what_is_no_cursor(text: Any) -> None:
    """Whatever else comes, of any type and length, is a ConfigError and nothing worse."""
    for place_type in (int, str):
        with pytest.raises(ConfigError):
            cursors.decode(LISTING, text, place_type)


FORGED: list[tuple[Any, type[Any]]] = [
    ("x", int),
    (7, str),
    ("\ud800", str),
    ("a\0b", str),
    ("é", str),
    ("' OR 1=1", str),
    (True, int),
    (2**63, int),
]


@pytest.mark.parametrize(("place", "place_type"), FORGED, ids=ascii)
def test_a_place_that_no_row_has(place: Any, place_type: type[Any]) -> None:
    """A cursor may be forged: a place that is none of this backend's never reaches it."""
    with pytest.raises(ConfigError, match="no cursor"):
        cursors.decode(LISTING, cursors.encode(LISTING, place), place_type)


@pytest.mark.parametrize("change", ["!{}", "\n{}", "{}=", " {}", "{}A"])
def test_a_cursor_is_taken_to_the_letter(change: str) -> None:
    """A cursor with anything in front of it or behind it is none."""
    with pytest.raises(ConfigError):
        cursors.decode(LISTING, change.format(cursors.encode(LISTING, 7)), int)


@given(st.text() | st.binary().map(lambda data: urlsafe_b64encode(data).decode()))
def test_any_text(text: str) -> None:
    """No text leads anywhere but to a ConfigError."""
    with pytest.raises(ConfigError):
        cursors.decode(LISTING, text, int)


def test_a_generation_is_asked_for_once_a_page_needs_it() -> None:
    """A page that is the first and the last one asks for no generation; any other asks once."""

    class Counts(InMemoryStore):
        asked = 0

        async def generation(self, kind: Kind) -> str:
            self.asked += 1
            return "g"

    store = Counts()
    db = StoreBackedMemoryDb(store)
    db.upsert_memories(MemoryRow({}, f"{n}", "ann") for n in range(3))
    assert db.page_memories("ann", limit=3).next is None
    assert store.asked == 0
    page = db.page_memories("ann", limit=1)
    assert store.asked == 1
    page = db.page_memories("ann", limit=1, after=page.next)
    assert store.asked == 2
    assert [row.id for row in page.rows] == ["1"]


def test_a_store_that_was_made_anew() -> None:
    """Where positions begin anew, the cursor of the store before is refused."""

    class BeginsAnew(InMemoryStore):
        number = 0

        async def drop(self) -> None:
            await super().drop()
            self.number += 1

        async def generation(self, kind: Kind) -> str:
            return str(self.number)

    db = StoreBackedMemoryDb(BeginsAnew())
    db.upsert_memories(MemoryRow({}, f"{n}", "ann") for n in range(3))
    cursor = db.page_memories(limit=1).next
    assert len(db.page_memories(limit=9, after=cursor).rows) == 2
    db.drop_table()
    db.upsert_memories(MemoryRow({}, f"{n}", "ann") for n in range(3))
    with pytest.raises(ConfigError):
        db.page_memories(limit=9, after=cursor)
