"""Many rows upserted at once, in batches within the service's limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from buddy.memory.errors import MemoryDbError
from buddy.memory.storage.record import Record, Write
from buddy_memory_firestore.batches import MAX_BYTES, MAX_WRITES, Done, send
from buddy_memory_firestore.connection import Deadline
from buddy_memory_firestore.documents import Seen

if TYPE_CHECKING:
    from buddy_memory_firestore.store import FirestoreStore


class _Planned(NamedTuple):
    """A write, the record it makes of what was seen, and the message that stores it."""

    write: Write
    record: Record
    message: Any


async def put(store: FirestoreStore, writes: Sequence[Write]) -> list[Record]:
    """Upsert rows with distinct ids; return what is stored, in their order.

    New rows cost one write each; only ids that are stored already are read. On failure the error
    says which rows are stored.
    """
    order = await store.prepare(writes[0].record.kind)
    # All positions are taken, and all sizes checked, before anything is sent.
    planned: list[_Planned] = []
    for write in writes:
        record = store.merge(None, write, order)
        planned.append(_Planned(write, record, await store.write_of(record, None)))
    stored: dict[str, Record] = {}
    try:
        for batch in _batches(planned):
            await _put_batch(store, batch, stored)
    except MemoryDbError as error:
        error.stored_ids = tuple(w.record.id for w in writes if w.record.id in stored)
        raise
    return [stored[write.record.id] for write in writes]


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


async def _put_batch(
    store: FirestoreStore, batch: list[_Planned], stored: dict[str, Record]
) -> None:
    kind = batch[0].record.kind
    order = await store.order(kind)
    deadline = Deadline(store.connection.timeout)
    fresh = True
    while True:
        refused = await _send(store, batch, stored)
        if not refused:
            return
        if not fresh:  # The first refusals only mean that the rows were there before.
            await store.connection.again(deadline, "others keep writing these rows")
        fresh = False
        seen = await store.look_many(kind, [item.record.id for item in refused])
        batch = []
        for item in refused:
            found = seen.get(item.record.id)
            if await _is_done(store, item, found):
                stored[item.record.id] = item.record
                continue
            record = store.merge(found, item.write, order)
            batch.append(_Planned(item.write, record, await store.write_of(record, found)))


async def _is_done(store: FirestoreStore, item: _Planned, found: Seen | None) -> bool:
    """Tell whether a refused write was done by an earlier attempt, of which the answer got lost."""
    if found is None or found.record != item.record._replace(payload={}):
        return False
    return await store.is_stored(item.record)


async def _send(
    store: FirestoreStore, batch: list[_Planned], stored: dict[str, Record]
) -> list[_Planned]:
    """Send a batch, note what is stored, and return what was refused."""
    done = Done({}, [])
    try:
        await send(store, [item.message for item in batch], done)
    finally:
        for i in done.stored:
            stored[batch[i].record.id] = batch[i].record
    return [batch[i] for i in done.refused]
