"""Faults that a random history meets: each in a corner where two features meet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from buddy.memory import filters
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.record import Kind
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
from tests.conformance_kit.broken_backends.declare import on_db, on_store


@on_store("R1-long-histories-are-answered-as-by-a-dictionary")
@on_store("R1-random-calls-are-answered-as-by-a-dictionary-memory")
class TakesNobodyForTheEmptyUser(InMemoryStore):
    """An id that nobody and the empty user have is not ambiguous."""

    async def find(self, kind: Kind, ids: Sequence[str]) -> Any:
        found = await super().find(kind, ids)
        return list({(row.id, row.user_id or ""): row for row in found}.values())


@on_db("R20-a-filter-compares-large-numbers-exactly")
class CountsByDoubles(StoreBackedMemoryDb):
    """A filter of a count compares integers as floats."""

    def count_memories(self, user_id: Any = None, *, where: Any = None, **scope: Any) -> int:
        asked = filters.parse(where)
        if not asked.conditions:
            return super().count_memories(user_id, **scope)
        compared = tuple(one._replace(operand=as_double(one.operand)) for one in asked.conditions)
        rows = self.iter_memories(user_id, **scope)
        return sum(filters.Filter(compared).matches(as_double(row.memory)) for row in rows)


def as_double(value: Any) -> Any:
    """Return a value as a database sees it whose numbers are doubles."""
    if isinstance(value, (list, tuple)):
        return [as_double(item) for item in value]
    if isinstance(value, dict):
        return {key: as_double(item) for key, item in value.items()}
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
