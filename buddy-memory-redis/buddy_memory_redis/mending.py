"""What others left, or are about to do: found out, and settled."""

from __future__ import annotations

from collections.abc import Sequence

from buddy.memory.errors import UnavailableError
from buddy.memory.storage.record import Kind
from buddy_memory_redis.directory import GONE, Directory, Entry
from buddy_memory_redis.shelf import Shelves

ATTEMPTS = 50
"""How often others may get in between two steps before that is an error."""


def too_many(id: str) -> UnavailableError:
    """Return the error for an id on which others got in between again and again."""
    return UnavailableError("Redis", f"{id!r} is being written by too many")


async def verify(
    directory: Directory,
    shelves: Shelves,
    kind: Kind,
    entries: Sequence[Entry],
    *,
    fence: bool = True,
) -> list[Entry]:
    """Return the entries that have a row. With ``fence``, settle them all for good."""
    positions = await shelves.probe(kind, entries, fence=fence)
    there = [e for e, position in zip(entries, positions, strict=True) if position != GONE]
    if fence:
        for entry, position in zip(entries, positions, strict=True):
            directory.ended(kind, entry.id, entry.token, position)
        await directory.tell(kind)
    return there
