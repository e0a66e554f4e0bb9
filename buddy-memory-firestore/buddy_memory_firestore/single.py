"""One row written or deleted: one commit, for the state that it was made for.

A first attempt rests on what was last seen of the row, or on there being none. When the server
finds it otherwise, nothing is written; the row is read, and the write is made anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buddy.memory.errors import ConflictError, OwnerMismatchError
from buddy.memory.storage.record import Kind, Record, Write
from buddy_memory_firestore.connection import Deadline
from buddy_memory_firestore.deletions import deletion
from buddy_memory_firestore.documents import Seen
from buddy_memory_firestore.errors import PreconditionFailed
from buddy_memory_firestore.order import Order

if TYPE_CHECKING:
    from buddy_memory_firestore.store import FirestoreStore


async def put(store: FirestoreStore, write: Write) -> Record:
    """Upsert one row."""
    kind, id = write.record.kind, write.record.id
    order = await store.prepare(kind)
    guess = store.recent.take(kind, id)
    if guess is not None or not write.if_version:
        try:
            return await _put(store, write, guess, order)
        except (PreconditionFailed, OwnerMismatchError, ConflictError):
            pass  # Only a guess: what is really stored decides.
    deadline = Deadline(store.connection.timeout)
    while True:
        seen = await store.look(kind, id)
        try:
            return await _put(store, write, seen, order)
        except PreconditionFailed:
            await store.connection.again(deadline, f"others keep writing {id!r}")


async def _put(store: FirestoreStore, write: Write, seen: Seen | None, order: Order) -> Record:
    record = store.merge(seen, write, order)
    message = await store.write_of(record, seen)
    try:
        (update_time,) = await store.calls.commit([message])
    except PreconditionFailed as failed:
        if failed.repeated and await store.is_stored(record):
            return record
        raise
    store.remember(record, update_time)
    return record


async def delete(
    store: FirestoreStore, kind: Kind, id: str, user_id: str | None, if_version: int | None
) -> bool:
    """Delete one row; False when there is none (of that user)."""
    guess = store.recent.take(kind, id)
    if user_id is None and if_version is None:
        return await _delete(store, kind, id, None) or await _none(store)
    if guess is not None and user_id in (None, guess.record.user_id):
        fits = if_version in (None, guess.record.version)
        if fits and await _delete(store, kind, id, guess.update_time):
            return True
    deadline = Deadline(store.connection.timeout)
    while True:
        seen = await store.look(kind, id)
        if seen is not None and user_id not in (None, seen.record.user_id):
            seen = None
        version = 0 if seen is None else seen.record.version
        if if_version is not None and if_version != version:
            raise ConflictError(id, if_version, version)
        if seen is None:
            return await _none(store)
        if await _delete(store, kind, id, seen.update_time):
            return True
        await store.connection.again(deadline, f"others keep writing {id!r}")


async def _none(store: FirestoreStore) -> bool:
    await store.look_for_older()
    return False


async def _delete(store: FirestoreStore, kind: Kind, id: str, update_time: Any) -> bool:
    """Delete a document if it was last written then (None: at any time); False when not."""
    write = deletion(await store.calls.name(store.path(kind, id)), update_time)
    try:
        await store.calls.commit([write])
    except PreconditionFailed:
        return False
    return True
