"""Memories as older software left them: one string ``<prefix>:<id>`` each, and no index."""

from __future__ import annotations

import json
import logging
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from buddy.memory.errors import ConflictError, InvalidMemoryError, OwnerMismatchError
from buddy.memory.storage import clock, legacy
from buddy.memory.storage.checks import prepare
from buddy.memory.storage.record import Draft, Kind, Record, Write
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
    draft: Draft
    ttl: int


async def upgrade(store: RedisStore, link: Link, prefix: str) -> None:
    """Move old rows into the store, oldest first, with owners, times and remaining lives.

    An old key is removed when its row is stored, and only while it holds what was read. What is
    no memory of this prefix, or cannot be read, stays where it is.
    """
    keys = await link.keys(f"{_glob(prefix)}:*")
    found: list[Old] = []
    for start in range(0, len(keys), AT_ONCE):
        found += await _read(link, prefix, keys[start : start + AT_ONCE])
    for old in sorted(found, key=_age):
        if await _move(store, old):
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
    found = []
    for key, text, ttl in zip(keys, replies[::2], replies[1::2], strict=True):
        draft = _draft(key, text, prefix) if isinstance(text, bytes) else None
        if isinstance(text, bytes) and draft is not None:
            found.append(Old(key, text, draft, max(int(ttl), 0)))
    return found


def _draft(key: bytes, text: bytes, prefix: str) -> Draft | None:
    """Return the row, or None, with a warning, when it is none of this prefix."""
    try:
        row: Any = json.loads(text)
        payload = legacy.read_payload(row["memory"])
        id = row["id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        row = payload = id = None
    if payload is None or f"{prefix}:{id}".encode(errors="replace") != key:
        logger.warning("left alone what is no readable memory: %r", key)
        return None
    created, updated = (legacy.read_time(row.get(name)) for name in ("created_at", "updated_at"))
    return Draft(Kind.MEMORY, id, row.get("user_id"), payload, created, updated or created)


def _age(old: Old) -> tuple[float, bytes]:
    created = old.draft.created_at
    return (created.timestamp() if isinstance(created, datetime) else 0.0), old.key


async def _move(store: RedisStore, old: Old) -> bool:
    """Store an old row unless a newer one is there; tell whether the old key may go."""
    try:
        write = prepare(old.draft, clock.utc_now(), 0)
        try:
            await store.writing(old.ttl).apply([dump(write)])
        except ConflictError:
            await _take_later_update(store, write)
    except (OwnerMismatchError, InvalidMemoryError) as error:
        logger.warning("left the old memory %r where it is: %s", old.key, error)
        return False
    return True


async def _take_later_update(store: RedisStore, write: Write) -> None:
    """Store what older software wrote after the row had been moved."""
    record = write.record
    stored = await store.get(record.kind, record.id, record.user_id)
    if isinstance(stored, Record) and stored.updated_at < record.updated_at:
        await store.put(write._replace(if_version=None))
