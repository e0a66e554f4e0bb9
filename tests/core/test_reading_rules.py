"""Listings that meet unreadable rows."""

from __future__ import annotations

from typing import Any

import pytest

from buddy.memory import MemoryRow
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.record import Corrupt, Kind, Scope
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb


class Damaged(InMemoryStore):
    """Rows whose payload says so cannot be read; pages are counted."""

    pages = 0

    async def page(self, kind: Kind, scope: Scope, **options: Any) -> Any:
        self.pages += 1
        return [
            Corrupt(row.user_id, row.id, row.position, "torn")
            if isinstance(row, Corrupt) or row.payload.get("torn")
            else row
            for row in await super().page(kind, scope, **options)
        ]


@pytest.fixture
def db() -> StoreBackedMemoryDb:
    """A database with 3 readable rows, 2,000 unreadable ones, and 3 readable ones, newest last."""
    db = StoreBackedMemoryDb(Damaged())
    kinds = ["early"] * 3 + ["torn"] * 2000 + ["late"] * 3
    db.upsert_memories(MemoryRow({kind: True}, f"{n}", "ann") for n, kind in enumerate(kinds))
    return db


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6, 7, 999, 5000])
def test_a_limit_fills_past_unreadable_rows(db: StoreBackedMemoryDb, limit: int) -> None:
    """A listing has as many readable rows as it may, in order, and reads few pages for them."""
    expected = ["2005", "2004", "2003", "2", "1", "0"][:limit]
    assert [row.id for row in db.read_memories("ann", limit=limit)] == expected
    store: Any = db._rules.store
    assert store.pages <= 16


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6, 7])
def test_pages_meet_every_readable_row_once(db: StoreBackedMemoryDb, limit: int) -> None:
    """Cursors lead past unreadable rows without a gap and without a repetition."""
    found: list[str] = []
    page = db.page_memories("ann", limit=limit)
    found += [row.id for row in page.rows]
    while page.next is not None:
        page = db.page_memories("ann", limit=limit, after=page.next)
        found += [row.id for row in page.rows]
    assert found == ["2005", "2004", "2003", "2", "1", "0"]
