"""Memories as older software left them: one string ``<prefix>:<id>`` each, and no index."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from buddy.memory.errors import ConflictError, OwnerMismatchError, TooLargeError
from buddy.memory.storage import clock, legacy
from buddy.memory.storage.record import Corrupt, Record, Write
from buddy_memory_redis.link import Link
from buddy_memory_redis.rows import dump

if TYPE_CHECKING:
    from buddy_memory_redis.store import RedisStore

logger = logging.getLogger("buddy.memory")

AT_ONCE = 200
"""Old rows read in one pipeline."""


class Old(NamedTuple):
    """An old row: its key, the text found, what it says, and its life in ms (0: for ever)."""

    key: bytes
    text: bytes
    row: Record | Corrupt
    ttl: int


async def older(link: Link, prefix: str) -> AsyncIterator[list[Old]]:
    """Yield pages of the old rows, oldest first. Walks the keyspace and reads each row twice."""
    ages: list[tuple[datetime, bytes]] = []
    keys = await link.keys(f"{_glob(prefix)}:*")
    for start in range(0, len(keys), AT_ONCE):
        found = await _read(link, prefix, keys[start : start + AT_ONCE])
        ages += [(_age(old.row), old.key) for old in found]
    ages.sort()
    for start in range(0, len(ages), AT_ONCE):
        yield await _read(link, prefix, [key for _, key in ages[start : start + AT_ONCE]])


def _age(row: Record | Corrupt) -> datetime:
    return row.created_at if isinstance(row, Record) else datetime.max.replace(tzinfo=timezone.utc)


async def upgrade(store: RedisStore, link: Link, prefix: str) -> None:
    """Move old rows into the store, oldest first, with owners, times and remaining lives.

    An old key is removed when its row is stored, and only while it holds what was read. What is
    no memory of this prefix, or cannot be read, stays where it is.
    """
    async for page in older(link, prefix):
        for old in page:
            if isinstance(old.row, Corrupt):
                logger.warning("left alone what is no readable memory: %r", old.key)
            elif await _move(store, old, old.row):
                await link.one(("EVAL", _REMOVE_UNCHANGED, 1, old.key, old.text))


_REMOVE_UNCHANGED = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('UNLINK', KEYS[1])
"""


def _glob(prefix: str) -> str:
    """Return the pattern that matches the prefix itself, whatever characters it holds."""
    return "".join(f"\\{c}" if c in "*?[]^\\" else c for c in prefix)


async def _read(link: Link, prefix: str, keys: list[bytes]) -> list[Old]:
    commands = [command for key in keys for command in (("GET", key), ("PTTL", key))]
    replies = await link.all(commands)
    return [
        Old(key, text, _row(key, text, prefix), max(int(ttl), 0))
        for key, text, ttl in zip(keys, replies[::2], replies[1::2], strict=True)
        if isinstance(text, bytes)
    ]


def _row(key: bytes, text: bytes, prefix: str) -> Record | Corrupt:
    """Return the memory in a text, or Corrupt when it is none of this prefix."""
    name = key.decode(errors="backslashreplace")
    try:
        fields: Any = json.loads(text)
    except (ValueError, RecursionError):
        return Corrupt(name, None, None, "it is no JSON")
    id = fields.get("id") if isinstance(fields, dict) else None
    if id is None or f"{prefix}:{id}".encode(errors="replace") != key:
        return Corrupt(name, None, None, "it is no memory with the id that its key says")
    row = legacy.read_row(map(fields.get, legacy.FIELDS))
    return row._replace(id=name) if isinstance(row, Corrupt) else row


async def _move(store: RedisStore, old: Old, row: Record) -> bool:
    """Store an old row unless a newer one is there; tell whether the old key may go."""
    write = Write(row, clock.utc_now(), 0)
    try:
        try:
            await store.writing(old.ttl).apply([dump(write)])
        except ConflictError:
            await _take_later_update(store, write)
    except (OwnerMismatchError, TooLargeError) as error:
        logger.warning("left the old memory %r where it is: %s", old.key, error)
        return False
    return True


async def _take_later_update(store: RedisStore, write: Write) -> None:
    """Store what older software wrote after the row had been moved."""
    record = write.record
    stored = await store.get(record.kind, record.id, record.user_id)
    if isinstance(stored, Record) and stored.updated_at < record.updated_at:
        await store.put(write._replace(if_version=None))
