"""Rows that have ended (rule R14), by the clock of this machine: counted, touched and removed.

They are few, and the service removes them by itself where it has a TTL policy on ``expires_at``. So
they are looked for by fields that only rows with an end have, and left out of what is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from buddy.memory.storage import clock
from buddy.memory.storage.record import Key, Kind, Reach, Scope, has_ended, new_stamp
from buddy.memory.storage.store import Ended
from buddy_memory_firestore import calls as requests
from buddy_memory_firestore import encoding, names
from buddy_memory_firestore.batches import MAX_WRITES, chunks, send
from buddy_memory_firestore.calls import Range
from buddy_memory_firestore.deadline import Deadline
from buddy_memory_firestore.rows import Rows

PAGE = 1000
"""Documents that one request returns at most."""


async def count_ended(rows: Rows, kind: Kind, scope: Scope) -> int:
    """Return how many rows of a scope have ended and are still stored."""
    now, collection = clock.utc_now(), rows.collections[kind]
    if scope.reach is Reach.EVERYBODY:
        return (await rows.calls.count_until(collection, "expires_at", now)).documents
    if scope.reach is Reach.USER:
        return (await rows.calls.count(_ended(collection, scope.name, now))).documents
    low, high = rows.range(kind, scope)[2:]
    with_end = Range(collection, "end_order", low, high)
    found = await _all(rows, with_end, ["end_order", "expires_at"])
    return sum(encoding.has_ended(document, now) for document in found)


async def ended_stamps(rows: Rows, kind: Kind, user_id: str | None) -> list[int]:
    """Return the stamps of the user's rows that have ended."""
    path = names.stamp_path(user_id)
    range = _ended(rows.collections[kind], user_id, clock.utc_now())
    found = await _all(rows, range, ["end_order", path])
    field = names.stamp_field(user_id)
    return [document.fields["stamps"].map_value.fields[field].integer_value for document in found]


def _ended(collection: str, user_id: str | None, now: datetime) -> Range:
    low = names.user_lead(user_id)
    return Range(collection, "end_order", low, encoding.end_order(user_id, now) + "0")


async def _all(rows: Rows, range: Range, mask: list[str]) -> list[Any]:
    found: list[Any] = []
    last = None
    while True:
        page = await rows.calls.query(range, PAGE, after=last, mask=mask)
        found += page
        if len(page) < PAGE:
            return found
        last = page[-1].fields[range.field].string_value


async def touch(
    rows: Rows, kind: Kind, user_id: str | None, ids: Sequence[str], ttl: timedelta | None
) -> int:
    """Give the living rows another end, ``ttl`` from now on; return how many these were."""
    count = 0
    for some in chunks(ids, MAX_WRITES):
        keys = [Key(user_id, id) for id in some]
        deadline = Deadline(rows.calls.connection.timeout)
        while keys:
            seen = await rows.look_many(kind, keys)
            now = clock.utc_now()
            living = [key for key in keys if key in seen and not has_ended(seen[key].record, now)]
            end = None if ttl is None else now + ttl
            done = await send(
                rows.calls, [await _touching(rows, kind, key, end, seen[key]) for key in living]
            )
            for key in living:
                rows.recent.take(kind, key)
            count += len(done.stored)
            keys = [living[i] for i in done.refused]
            if keys:
                await rows.calls.again(deadline, "others keep writing these rows")
    return count


async def _touching(
    rows: Rows, kind: Kind, key: Key, end: datetime | None, seen: encoding.Seen
) -> Any:
    """Return the Write that changes the end of a row that is as it was seen, and its stamp."""
    name = await rows.calls.name(rows.path(kind, key))
    document = encoding.Document(name=name)
    encoding.fill_end(document.fields, key.user_id, end)
    field = names.stamp_field(key.user_id)
    document.fields["stamps"].map_value.fields[field].integer_value = new_stamp()
    mask = {"field_paths": ["expires_at", "end_order", names.stamp_path(key.user_id)]}
    write = requests.Write(update=document, update_mask=mask)
    write.current_document.update_time.CopyFrom(seen.update_time)
    return write


async def sweep(rows: Rows, kind: Kind, limit: int) -> int:
    """Remove up to ``limit`` rows that have ended; return how many these were."""
    removed = 0
    while removed < limit:
        size = min(limit - removed, MAX_WRITES)
        now = clock.utc_now()
        found = await rows.calls.query_until(rows.collections[kind], "expires_at", now, size)
        writes = []
        for document in found:
            write = requests.Write(delete=document.name)
            write.current_document.update_time.CopyFrom(document.update_time)
            writes.append(write)
        done = len((await send(rows.calls, writes)).stored) if writes else 0
        removed += done
        if len(found) < size or not done:  # Those that others just wrote again are left to them.
            break
    return removed


async def ended(rows: Rows, kind: Kind) -> Ended:
    """Return how many rows have ended and are still stored, and the first end among them."""
    collection, now = rows.collections[kind], clock.utc_now()
    counted = await rows.calls.count_until(collection, "expires_at", now)
    if not counted.documents:
        return Ended(0, None)
    first = await rows.calls.query_until(collection, "expires_at", now, 1)
    return Ended(counted.documents, encoding.end_of(first[0]) if first else None)
