"""Single-row writes as conditional commits (optimistic concurrency).

A first attempt rests on what was last seen of the row, or on there being none. When the server
finds it otherwise, nothing is written; the row is read, and the write is tried again.
"""

from __future__ import annotations

from typing import Any

from buddy.memory.errors import ConflictError
from buddy.memory.storage import clock
from buddy.memory.storage.record import Key, Kind, Record, Write, has_ended, new_stamp
from buddy_memory_firestore.calls import Calls
from buddy_memory_firestore.encoding import Seen
from buddy_memory_firestore.errors import PreconditionFailed
from buddy_memory_firestore.rows import Rows


async def put(rows: Rows, write: Write) -> Record:
    """Upsert one row."""
    kind, key = write.record.kind, write.record.key
    calls = rows.calls.within_timeout()
    guess = rows.recent.take(kind, key)
    if guess is not None or not write.if_version:
        try:
            return await _commit(rows, calls, await rows.merge(guess, write), guess)
        except (PreconditionFailed, ConflictError):
            pass  # Only a guess: what is really stored decides.
    while True:
        seen = await rows.look(kind, key, calls)
        try:
            return await _commit(rows, calls, await rows.merge(seen, write), seen)
        except PreconditionFailed:
            await calls.again(calls.deadline, f"others keep writing {key.id!r}")


async def rewrite(
    rows: Rows,
    kind: Kind,
    key: Key,
    if_stamp: int,
    *,
    payload: dict[str, Any],
    vector: bytes | None,
) -> bool:
    """Replace payload and vector of the row that still has this stamp; False without one."""
    calls = rows.calls.within_timeout()
    seen = rows.recent.take(kind, key)
    while True:
        is_it = seen is not None and seen.record.stamp == if_stamp
        if seen is not None and is_it and not has_ended(seen.record, clock.utc_now()):
            record = seen.record._replace(payload=payload, vector=vector, stamp=new_stamp())
            try:
                await _commit(rows, calls, record, seen)
                return True
            except PreconditionFailed:
                await calls.again(calls.deadline, f"others keep writing {key.id!r}")
        seen = await rows.look(kind, key, calls)
        if seen is None or seen.record.stamp != if_stamp:
            return False
        if has_ended(seen.record, clock.utc_now()):
            return False


async def _commit(rows: Rows, calls: Calls, record: Record, seen: Seen | None) -> Record:
    """Store a record if the document is as it was seen. Raises PreconditionFailed."""
    message = await rows.write_of(record, seen)
    try:
        (update_time,) = await calls.commit([message])
    except PreconditionFailed as failed:
        if not failed.retried or not await is_stored(rows, calls, record):
            raise
        return record
    rows.remember(record, update_time)
    return record


async def is_stored(rows: Rows, calls: Calls, record: Record) -> bool:
    """Tell whether exactly this record is stored: a write whose answer got lost was done."""
    seen = await rows.look(record.kind, record.key, calls)
    return seen is not None and seen.record.stamp == record.stamp
