"""How a memory becomes a row, in either version of the API, and whose and which one it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from buddy.memory.row import MemoryRow as MemoryRowV1
from buddy.memory.row import content_id
from buddy.memory.rows import MemoryRow
from buddy.memory.storage.users import NOBODY, Nobody
from buddy.memory.v2.schema import UserMemory


def row_v1(memory: UserMemory, id: str, user_id: str | None) -> MemoryRowV1:
    """Return the row of version 1 that stores ``memory``."""
    return MemoryRowV1(memory.payload(), user_id, memory.created_at, memory.last_updated, id)


def row_v2(memory: UserMemory, id: str, user_id: str | None) -> MemoryRow:
    """Return the row of version 2 that stores ``memory``."""
    return MemoryRow(memory.payload(), id, user_id, memory.last_updated, memory.created_at)


def named(user_id: str | None) -> str | Nobody:
    """Return the user as a database takes it, where None would mean everybody or "not named"."""
    return NOBODY if user_id is None else user_id


async def find_places(
    db: Any, texts: Sequence[str], user_id: str | None
) -> dict[str, tuple[str, Any]]:
    """Return for each text the id for these words of that user, and the row that holds them, or
    None.

    The id comes from the words, so repeating them adds nothing. One whose row holds other words by
    now is passed over. ``db`` is awaitable.
    """
    places: dict[str, tuple[str, Any]] = {}
    copies = dict.fromkeys(texts, 0)
    while copies:
        words = [
            {"memory": t, "copy": copy} if copy else {"memory": t} for t, copy in copies.items()
        ]
        ids = [content_id(payload, user_id) for payload in words]
        rows = await db.read_memories_by_id(ids, user_id=named(user_id))
        for text, id, row in zip(list(copies), ids, rows, strict=True):
            if row is None or row.memory.get("memory") == text:
                places[text] = id, row
                del copies[text]
            else:
                copies[text] += 1
    return places
