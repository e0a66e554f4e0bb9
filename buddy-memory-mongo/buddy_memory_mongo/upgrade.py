"""Documents from before marks and versions: read, and brought up to date where they stand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from bson.int64 import Int64
from pymongo import UpdateOne

from buddy.memory.errors import TooLargeError
from buddy.memory.storage import legacy
from buddy.memory.storage.record import Corrupt, Kind, Record
from buddy_memory_mongo import documents
from buddy_memory_mongo.bson_payload import dump
from buddy_memory_mongo.errors import BulkRefused
from buddy_memory_mongo.layout import Layout
from buddy_memory_mongo.server import Server

_BATCH = 500


async def older(server: Server, layout: Layout) -> AsyncIterator[list[Record | Corrupt]]:
    """Yield pages of the older memories in the order of their writing."""
    query, after = layout.older(), dict[str, Any]()
    while found := await server.find(
        Kind.MEMORY, {"$and": [query, after]}, sort=[("_id", 1)], limit=_BATCH, primary=True
    ):
        yield [_read(document) for document in found]
        after = {"_id": {"$gt": found[-1]["_id"]}}


def _read(document: dict[str, Any]) -> Record | Corrupt:
    return legacy.read_row(map(document.get, legacy.FIELDS), document["_id"])


async def upgrade(server: Server, layout: Layout) -> None:
    """Give every older memory the fields of today.

    Its id, owner, times and place in the order are kept: an ObjectId made by a driver grows with
    time as ours do. Safe to repeat, to interrupt and to run twice at once: each document is changed
    in one step, and only while it is as it was read. One that is unreadable is only marked as seen.
    """
    kind, query = Kind.MEMORY, layout.older()
    while older := await server.find(kind, query, limit=_BATCH, primary=True):
        changes = [_change(query, document) for document in older]
        await _send(server, changes)


async def _send(server: Server, changes: list[UpdateOne]) -> None:
    try:
        await server.io(Kind.MEMORY, lambda c: c.bulk_write(changes, ordered=False))
    except BulkRefused as error:
        raise error.first() from error


def _change(query: dict[str, Any], document: dict[str, Any]) -> UpdateOne:
    unchanged = {**query, "_id": document["_id"], "updated_at": document.get("updated_at")}
    update: dict[str, Any] = {"$set": {documents.MARK[Kind.MEMORY]: documents.LAYOUT}}
    try:
        fields = _fields(_read(document))
    except TooLargeError:  # Its keys would need escapes that it has no room for.
        fields = {}
    if fields:
        update = {"$set": {**update["$set"], **fields}, "$unset": {"_version": ""}}
    return UpdateOne(unchanged, update)


def _fields(row: Record | Corrupt) -> dict[str, Any]:
    """Return what a document of today has and an older one has not, or has in another form."""
    if isinstance(row, Corrupt):
        return {}
    return {
        "user_id": row.user_id,
        "memory": dump(row.payload, 0),
        "created_at": row.created_at,
        "created_us": documents.to_us(row.created_at),
        "updated_at": row.updated_at,
        "updated_us": documents.to_us(row.updated_at),
        "version": Int64(1),
    }
