"""Documents from before marks and versions, brought up to date where they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bson.int64 import Int64
from pymongo import UpdateOne

from buddy.memory.errors import TooLargeError
from buddy.memory.storage import clock, legacy
from buddy.memory.storage.record import Kind
from buddy_memory_mongo import documents
from buddy_memory_mongo.bson_payload import dump
from buddy_memory_mongo.errors import BulkRefused
from buddy_memory_mongo.layout import Layout

if TYPE_CHECKING:
    from buddy_memory_mongo.store import MongoStore

_BATCH = 500


async def upgrade(store: MongoStore, layout: Layout) -> None:
    """Give every older memory the fields of today.

    Its id, owner, times and place in the order are kept: an ObjectId made by a driver grows with
    time as ours do. Safe to repeat, to interrupt and to run twice at once: each document is changed
    in one step, and only while it is as it was read. A payload that is unreadable stays as it is.
    """
    kind, query = Kind.MEMORY, layout.older()
    while older := await store.find(kind, query, limit=_BATCH, primary=True):
        changes = [_change(query, document) for document in older]
        await _send(store, changes)


async def _send(store: MongoStore, changes: list[UpdateOne]) -> None:
    try:
        await store.io(Kind.MEMORY, lambda c: c.bulk_write(changes, ordered=False))
    except BulkRefused as error:
        raise error.first() from error


def _change(query: dict[str, Any], document: dict[str, Any]) -> UpdateOne:
    created = legacy.read_time(document.get("created_at"))
    updated = legacy.read_time(document.get("updated_at"))
    created_at = created or updated or clock.utc_now()
    updated_at = updated or created_at
    fields = {
        documents.MARK[Kind.MEMORY]: documents.LAYOUT,
        "user_id": document.get("user_id"),
        "memory": _payload(document["memory"]),
        "created_at": created_at,
        "created_us": documents.to_us(created_at),
        "updated_at": updated_at,
        "updated_us": documents.to_us(updated_at),
        "version": Int64(1),
    }
    unchanged = {**query, "_id": document["_id"], "updated_at": document.get("updated_at")}
    return UpdateOne(unchanged, {"$set": fields, "$unset": {"_version": ""}})


def _payload(value: Any) -> Any:
    readable = legacy.read_payload(value)
    if readable is None:
        return value
    try:
        return dump(readable, 0)
    except TooLargeError:  # Its keys would need escapes that it has no room for.
        return value
