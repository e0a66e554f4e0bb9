"""Memories as older software left them: one string ``<prefix>:<id>`` each, and no index."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple, Protocol

from buddy.memory.errors import ConflictError, TooLargeError
from buddy.memory.storage import clock, legacy
from buddy.memory.storage.record import Corrupt, Kind, Record, Write
from buddy_memory_redis.transport import Command, Transport, call

logger = logging.getLogger("buddy.memory")

AT_ONCE = 200
"""Old rows read in one pipeline."""


class Destination(Protocol):
    """The store that old rows are moved into."""

    async def get(self, kind: Kind, user_id: str | None, id: str) -> Record | Corrupt | None:
        """Return a row."""
        ...

    async def put(self, write: Write) -> Record:
        """Apply a write."""
        ...


class LegacyRow(NamedTuple):
    """An old row: its key, the text found, what it says, and its life in ms (0: no end)."""

    key: bytes
    text: bytes
    row: Record | Corrupt
    ttl: int


async def legacy_rows(transport: Transport, prefix: str) -> AsyncIterator[list[LegacyRow]]:
    """Yield pages of the old rows, oldest first. Walks the keyspace and reads each row twice."""
    ages: list[tuple[datetime, bytes]] = []
    keys = await transport.scan(f"{_glob(prefix)}:*")
    for start in range(0, len(keys), AT_ONCE):
        found = await _read(transport, prefix, keys[start : start + AT_ONCE])
        ages += [(_age(old.row), old.key) for old in found]
    ages.sort()
    for start in range(0, len(ages), AT_ONCE):
        yield await _read(transport, prefix, [key for _, key in ages[start : start + AT_ONCE]])


def _age(row: Record | Corrupt) -> datetime:
    return row.created_at if isinstance(row, Record) else datetime.max.replace(tzinfo=timezone.utc)


async def upgrade(store: Destination, transport: Transport, prefix: str) -> None:
    """Move old rows into the store, oldest first, with users, times and remaining lives.

    An old key is removed when its row is stored, and only while it holds what was read. What is
    no memory of this prefix, or cannot be read, stays where it is.
    """
    async for page in legacy_rows(transport, prefix):
        for old in page:
            if isinstance(old.row, Corrupt):
                logger.warning("left alone what is no readable memory: %r", old.key)
            elif await _move(store, old, old.row):
                await _remove(transport, old)


async def delete_legacy(transport: Transport, prefix: str, user_id: str | None) -> int:
    """Remove the old rows of a user; return how many there were."""
    count = 0
    async for page in legacy_rows(transport, prefix):
        for old in page:
            if isinstance(old.row, Record) and old.row.user_id == user_id:
                count += await _remove(transport, old)
    return count


async def _remove(transport: Transport, old: LegacyRow) -> int:
    """Remove an old key that still holds what was read."""
    return int(await transport.one(call("take", (old.key,), old.text)))


def _glob(prefix: str) -> str:
    """Return the pattern that matches the prefix itself, whatever characters it holds."""
    return "".join(f"\\{c}" if c in "*?[]^\\" else c for c in prefix)


async def _read(transport: Transport, prefix: str, keys: list[bytes]) -> list[LegacyRow]:
    commands = [Command((name,), (key,)) for key in keys for name in ("GET", "PTTL")]
    replies = await transport.all(commands)
    return [
        LegacyRow(key, text, _row(key, text, prefix), max(int(ttl), 0))
        for key, text, ttl in zip(keys, replies[::2], replies[1::2], strict=True)
        if isinstance(text, bytes)
    ]


def _row(key: bytes, text: bytes, prefix: str) -> Record | Corrupt:
    """Return the memory in a text, or Corrupt when it is none of this prefix."""
    name = key.decode(errors="backslashreplace")
    try:
        fields: Any = json.loads(text)
    except (ValueError, RecursionError):
        return Corrupt(None, name, None, "it is no JSON")
    id = fields.get("id") if isinstance(fields, dict) else None
    if id is None or f"{prefix}:{id}".encode(errors="replace") != key:
        return Corrupt(None, name, None, "it is no memory with the id that its key says")
    row = legacy.read_row(map(fields.get, legacy.FIELDS))
    return row._replace(id=name) if isinstance(row, Corrupt) else row


async def _move(store: Destination, old: LegacyRow, row: Record) -> bool:
    """Store an old row unless a newer one is there; tell whether the old key may go."""
    ttl = timedelta(milliseconds=old.ttl) if old.ttl else None
    write = Write(row, clock.utc_now(), 0, ttl)
    try:
        try:
            await store.put(write)
        except ConflictError:
            await _take_later_update(store, write)
    except TooLargeError as error:
        logger.warning("left the old memory %r where it is: %s", old.key, error)
        return False
    return True


async def _take_later_update(store: Destination, write: Write) -> None:
    """Store what older software wrote after the row had been moved."""
    record = write.record
    stored = await store.get(record.kind, record.user_id, record.id)
    if isinstance(stored, Record) and stored.updated_at < record.updated_at:
        await store.put(write._replace(if_version=None))
