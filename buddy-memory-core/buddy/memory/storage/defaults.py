"""What the contracts can answer from their eight abstract methods alone.

Written once, awaiting: the synchronous contracts pass ``Awaiting(self)`` and drive the result
with ``run``. A backend that can do better overrides the method.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from buddy.memory.errors import InvalidMemoryError, MemoryDbError, UnsupportedError
from buddy.memory.storage.checks import check_id, check_ids, check_user


class Awaiting:
    """A synchronous database whose methods can be awaited; nothing ever waits."""

    def __init__(self, db: Any) -> None:
        self._db = db

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._db, name)

        async def awaited(*args: Any, **kwargs: Any) -> Any:
            return method(*args, **kwargs)

        return awaited


async def read_memory(db: Any, id: str, user_id: str | None) -> Any:
    """Return the row with that id (of that user), or None."""
    check_id(id)
    rows = await db.read_memories(user_id=check_user(user_id))
    return next((row for row in rows if row.id == id), None)


async def upsert_memories(db: Any, rows: Iterable[Any]) -> list[Any]:
    """Write the rows one by one and return them; an error says which ids are stored."""
    stored: list[Any] = []
    for row in rows:
        try:
            stored.append(await db.upsert_memory(row))
        except MemoryDbError as error:
            error.stored_ids = tuple(done.id for done in stored)
            raise
    return stored


async def delete_memories(db: Any, ids: Iterable[str], user_id: str | None) -> int:
    """Delete the rows with these ids (of that user); return how many there were."""
    wanted = set(check_ids(ids))
    found = [row.id for row in await db.read_memories(user_id=user_id) if row.id in wanted]
    for id in found:
        await db.delete_memory(id)
    return len(found)


async def count_memories(db: Any, user_id: str | None) -> int:
    """Return the number of rows (of that user)."""
    return len(await db.read_memories(user_id=user_id))


async def delete_user(db: Any, user_id: str) -> dict[str, int]:
    """Delete every memory of that user; return the counts."""
    if check_user(user_id) is None:
        raise InvalidMemoryError("name the user; clear() empties the whole store", "user_id")
    rows = await db.read_memories(user_id=user_id)
    return {"memories": await db.delete_memories([row.id for row in rows]), "summaries": 0}


def no_summaries(db: object) -> UnsupportedError:
    """Return the error of a backend that implements the eight methods only."""
    return UnsupportedError(
        type(db).__name__,
        "session summaries",
        "Its author can write a Store, or override the *_summary methods.",
    )
