"""Rows deleted: what each deletion expects, and many at once in batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from buddy.memory.storage.record import Kind
from buddy_memory_firestore import calls as protocol
from buddy_memory_firestore.batches import MAX_WRITES, chunks, send
from buddy_memory_firestore.calls import NO_FIELDS, Scope
from buddy_memory_firestore.documents import position_of

if TYPE_CHECKING:
    from buddy_memory_firestore.store import FirestoreStore


def deletion(name: str, update_time: Any) -> Any:
    """Return the Write that deletes a document if it was written then (None: if it is there)."""
    write = protocol.Write(delete=name)
    if update_time is None:
        write.current_document.exists = True
    else:
        write.current_document.update_time.CopyFrom(update_time)
    return write


async def delete(store: FirestoreStore, kind: Kind, ids: Sequence[str], user_id: str | None) -> int:
    """Delete rows by distinct ids (of that user); return how many there were."""
    count = 0
    for some in chunks(ids, MAX_WRITES):
        if user_id is None:
            writes = [await _deletion(store, kind, id) for id in some]
            count += len((await send(store, writes)).stored)
        else:
            count += await _delete_owned(store, kind, some, user_id)
    return count


async def _delete_owned(store: FirestoreStore, kind: Kind, ids: Sequence[str], user_id: str) -> int:
    count = 0
    while ids:
        seen = await store.look_many(kind, ids)
        owned = [id for id, row in seen.items() if row.record.user_id == user_id]
        writes = [await _deletion(store, kind, id, seen[id].update_time) for id in owned]
        done = await send(store, writes)
        count += len(done.stored)
        ids = [owned[i] for i in done.refused]  # Somebody wrote them meanwhile: look again.
    return count


async def delete_all(store: FirestoreStore, kind: Kind, user_id: str | None) -> int:
    """Delete every row (of that user) in batches; return how many there were.

    Can be repeated after a crash. Each row is deleted as it was seen, so that one which changed
    hands meanwhile stays; one that was only updated is found by the next pass.
    """
    scope = Scope(store.collections[kind], user_id)
    count = 0
    while True:
        missed = 0
        after = None
        while True:
            found = await store.calls.query(
                scope, MAX_WRITES, after=after, mask=["order", "user_order"]
            )
            writes = [deletion(document.name, document.update_time) for document in found]
            done = await send(store, writes)
            count += len(done.stored)
            missed += len(done.refused)
            if len(found) < MAX_WRITES:
                break
            after = position_of(found[-1])
        if not missed:
            return count


async def delete_collection(store: FirestoreStore, collection: str) -> None:
    """Delete every document of a collection, whatever it is."""
    token = ""
    while True:
        found, token = await store.calls.list_documents(
            "", collection, MAX_WRITES, NO_FIELDS, token
        )
        # Those without a time exist only as parents of others, which are not ours.
        writes = [protocol.Write(delete=d.name) for d in found if d.HasField("create_time")]
        await send(store, writes)
        if not token:
            return


async def _deletion(store: FirestoreStore, kind: Kind, id: str, update_time: Any = None) -> Any:
    return deletion(await store.calls.name(store.path(kind, id)), update_time)
