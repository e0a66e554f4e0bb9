"""Bulk upserts, in batches within the service's limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from buddy.memory.errors import MemoryDbError
from buddy.memory.storage import clock
from buddy.memory.storage.record import Key, Record, Write, has_ended
from buddy_memory_firestore.batches import MAX_BYTES, MAX_WRITES, Done, send
from buddy_memory_firestore.deadline import Deadline
from buddy_memory_firestore.encoding import Seen
from buddy_memory_firestore.rows import Rows


class _Planned(NamedTuple):
    """A write, the record it makes of what was seen, the message that stores it, and its position
    among the new rows of the call."""

    write: Write
    record: Record
    message: Any
    place: str


async def put(rows: Rows, writes: Sequence[Write]) -> list[Record]:
    """Upsert rows with distinct keys; return what is stored, in their order.

    New rows cost one write each; only rows that are stored already are read. On failure the error
    says which rows are stored.
    """
    # All positions are taken, and all sizes checked, before anything is sent.
    planned = [await _plan(rows, write, None) for write in writes]
    stored: dict[Key, Record] = {}
    try:
        for batch in _batches(planned):
            await _put_batch(rows, batch, stored)
    except MemoryDbError as error:
        error.stored = tuple(w.record.key for w in writes if w.record.key in stored)
        raise
    return [stored[write.record.key] for write in writes]


async def restore(rows: Rows, writes: Sequence[Write]) -> list[Key]:
    """Store those rows that are not there; return their keys, in order."""
    planned = [await _plan(rows, write, None) for write in writes]
    stored: dict[Key, Record] = {}
    try:
        for batch in _batches(planned):
            await _restore_batch(rows, batch, stored)
    except MemoryDbError as error:
        error.stored = tuple(w.record.key for w in writes if w.record.key in stored)
        raise
    return [write.record.key for write in writes if write.record.key in stored]


async def _restore_batch(rows: Rows, batch: list[_Planned], stored: dict[Key, Record]) -> None:
    deadline = Deadline(rows.calls.connection.timeout)
    while refused := await _send(rows, batch, stored):
        seen = await rows.look_many(refused[0].record.kind, [item.record.key for item in refused])
        batch = []
        for item in refused:
            found = seen.get(item.record.key)
            if found is None or has_ended(found.record, clock.utc_now()):
                batch.append(await _plan(rows, item.write, found, item.place))
            elif found.record.stamp == item.record.stamp:
                # An earlier attempt, of which the answer got lost, was done.
                stored[item.record.key] = item.record
        if not batch:
            return
        await rows.calls.again(deadline, "others keep writing these rows")


async def _plan(rows: Rows, write: Write, seen: Seen | None, place: str | None = None) -> _Planned:
    record = await rows.merge(seen, write, place)
    message = await rows.write_of(record, seen)
    return _Planned(write, record, message, place or record.position)


def _batches(planned: list[_Planned]) -> list[list[_Planned]]:
    batches: list[list[_Planned]] = []
    size = 0
    for item in planned:
        weight = item.message.ByteSize()
        if not batches or len(batches[-1]) == MAX_WRITES or size + weight > MAX_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(item)
        size += weight
    return batches


async def _put_batch(rows: Rows, batch: list[_Planned], stored: dict[Key, Record]) -> None:
    kind = batch[0].record.kind
    deadline = Deadline(rows.calls.connection.timeout)
    is_first = True
    while True:
        refused = await _send(rows, batch, stored)
        if not refused:
            return
        if not is_first:  # The first refusals only mean that the rows were there before.
            await rows.calls.again(deadline, "others keep writing these rows")
        is_first = False
        seen = await rows.look_many(kind, [item.record.key for item in refused])
        batch = []
        for item in refused:
            found = seen.get(item.record.key)
            if found is not None and found.record.stamp == item.record.stamp:
                # An earlier attempt, of which the answer got lost, was done.
                stored[item.record.key] = item.record
            else:
                batch.append(await _plan(rows, item.write, found, item.place))


async def _send(rows: Rows, batch: list[_Planned], stored: dict[Key, Record]) -> list[_Planned]:
    """Send a batch, note what is stored, and return what was refused."""
    done = Done({}, [])
    try:
        await send(rows.calls, [item.message for item in batch], done)
    finally:
        for i, update_time in done.stored.items():
            record = batch[i].record
            stored[record.key] = record
            rows.remember(record, update_time)
    return [batch[i] for i in done.refused]
