"""How a memory becomes a row, in either version of the API."""

from __future__ import annotations

from buddy.memory.row import MemoryRow as MemoryRowV1
from buddy.memory.v2.db.schema import MemoryRow
from buddy.memory.v2.schema import UserMemory


def row_v1(memory: UserMemory, id: str, user_id: str | None) -> MemoryRowV1:
    """Return the row of version 1 that stores ``memory``."""
    return MemoryRowV1(memory.payload(), user_id, memory.created_at, memory.last_updated, id)


def row_v2(memory: UserMemory, id: str, user_id: str | None) -> MemoryRow:
    """Return the row of version 2 that stores ``memory``."""
    return MemoryRow(memory.payload(), id, user_id, memory.last_updated, memory.created_at)
