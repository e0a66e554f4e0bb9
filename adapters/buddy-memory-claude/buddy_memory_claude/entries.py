"""Entries of a transcript as rows, and back.

An entry is any JSON object. What no payload holds (numbers beyond 64 bits, NaN, deep nesting) is
stored as JSON text in a row ``{"buddy_memory_json": text}``, and so is an entry of that form.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, cast

from claude_agent_sdk.types import SessionStoreEntry

from buddy.memory import MemoryRow
from buddy.memory.errors import InvalidMemoryError, TooLargeError
from buddy.memory.v2.db.base import AsyncMemoryDb

_TEXT = "buddy_memory_json"
_LONGEST_ID = 200


def row_of(entry: SessionStoreEntry, spare_id: str, scope: str) -> MemoryRow:
    """Return the row of an entry; ``spare_id`` is for one without a uuid."""
    row = MemoryRow(cast(dict[str, Any], entry), _id_of(entry, spare_id), scope)
    return _as_text(row) if _is_text(row) else row


def entry_of(row: MemoryRow) -> SessionStoreEntry:
    """Return the entry of a row."""
    entry = json.loads(row.memory[_TEXT]) if _is_text(row) else row.memory
    return cast(SessionStoreEntry, entry)


async def store(db: AsyncMemoryDb, rows: Sequence[MemoryRow]) -> dict[str, InvalidMemoryError]:
    """Store rows in their order; return why others are refused, by their ids.

    All are written by one call. Only where that is refused, halves of them are tried, until those
    at fault are found.
    """
    try:
        await db.upsert_memories(rows)
    except InvalidMemoryError as error:
        if len(rows) > 1:
            middle = len(rows) // 2
            refused = await store(db, rows[:middle])
            return refused | await store(db, rows[middle:])
        [row] = rows
        if _is_text(row) or isinstance(error, TooLargeError):
            return {cast(str, row.id): error}
        try:
            text = _as_text(row)
        except (TypeError, ValueError, RecursionError):  # No JSON either.
            return {cast(str, row.id): error}
        return await store(db, [text])
    return {}


def _is_text(row: MemoryRow) -> bool:
    return row.memory.keys() == {_TEXT}


def _as_text(row: MemoryRow) -> MemoryRow:
    return MemoryRow({_TEXT: json.dumps(row.memory)}, row.id, row.user_id)


def _id_of(entry: SessionStoreEntry, spare_id: str) -> str:
    """Return an id that is the same whenever the uuid is, also for one that cannot be an id."""
    uuid: object = entry.get("uuid")
    if not uuid:
        return spare_id
    if isinstance(uuid, str) and uuid.isprintable() and len(uuid) <= _LONGEST_ID:
        return uuid
    return sha256(json.dumps(uuid).encode()).hexdigest()
