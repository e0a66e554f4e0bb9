"""Memories of older software: read, and brought up to date where they are stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from bson.int64 import Int64
from pymongo import UpdateOne

from buddy.memory.errors import MemoryDbError, TooLargeError
from buddy.memory.storage import legacy
from buddy.memory.storage.record import Corrupt, Kind, Record, new_stamp
from buddy.memory.storage.users import encode_user
from buddy_memory_mongo import encoding
from buddy_memory_mongo.bson_payload import dump
from buddy_memory_mongo.database import Database
from buddy_memory_mongo.errors import BulkRefused
from buddy_memory_mongo.schema import Schema

_BATCH = 500


async def legacy_records(
    database: Database, schema: Schema
) -> AsyncIterator[list[Record | Corrupt]]:
    """Yield pages of the memories of older software, in the order of their writing; then what has
    a memory and is none of theirs, so that nobody takes it for moved."""
    await schema.refuse_earlier(Kind.MEMORY)
    layout, after = schema.layouts[Kind.MEMORY], dict[str, Any]()
    query = layout.legacy()
    while found := await database.find(
        Kind.MEMORY, {"$and": [query, after]}, sort=[("_id", 1)], limit=_BATCH, primary=True
    ):
        yield [_read(document) for document in found]
        after = {"_id": {"$gt": found[-1]["_id"]}}
    fields = ["id", "user_id", "_version"]
    yield [_misfit(found) for found in await database.find(Kind.MEMORY, layout.misfits(), fields)]


def _misfit(document: dict[str, Any]) -> Corrupt:
    id, user_id = document.get("id"), document.get("user_id")
    reason = "it has no _version: other software wrote it"
    if not isinstance(id, str):
        reason = f"its id is no text: {id!r:.40}"
    elif "_version" in document:
        reason = "its _id is no ObjectId"
    shown = id if isinstance(id, str) else repr(id)
    user = user_id if isinstance(user_id, str) else None
    return Corrupt(user, shown, document["_id"], reason)


def _read(document: dict[str, Any]) -> Record | Corrupt:
    return legacy.read_row(map(document.get, legacy.FIELDS), document["_id"])


async def upgrade(database: Database, schema: Schema) -> None:
    """Give every memory of older software the fields of today, and the collection its indexes.

    Ids, users, payloads, times and order are kept: an ObjectId made by a driver grows with time as
    ours do. Safe to repeat, to interrupt and to run twice at once: each document is changed in one
    step, and only while it is as it was read. One that cannot be decoded only gets the mark.
    """
    for kind in Kind:
        await schema.refuse_earlier(kind)
    query = schema.layouts[Kind.MEMORY].legacy()
    if await database.find(Kind.MEMORY, query, {"_id": True}, limit=1, primary=True):
        # Before any change: afterwards, rows of older software would be taken for ours.
        await schema.make_key_index(Kind.MEMORY)
    while found := await database.find(Kind.MEMORY, query, limit=_BATCH, primary=True):
        await _send(database, [_change(query, document) for document in found])
    await _drop_unique_ids(database, schema)
    if await schema.exists():
        await schema.create()


async def _send(database: Database, changes: list[UpdateOne]) -> None:
    try:
        await database.call(Kind.MEMORY, lambda c: c.bulk_write(changes, ordered=False), long=True)
    except BulkRefused as error:
        raise error.first() from error


async def _drop_unique_ids(database: Database, schema: Schema) -> None:
    """Drop the index that refuses an id to a second user.

    Before the others are made: an interrupted upgrade must not look like an earlier layout.
    """
    name = await _unique_ids(schema)
    if name is None:
        return
    try:
        await database.call(Kind.MEMORY, lambda c: c.drop_index(name))
    except MemoryDbError:
        if await _unique_ids(schema) is not None:  # Otherwise another client has just dropped it.
            raise


async def _unique_ids(schema: Schema) -> str | None:
    """Return the name of the unique index of ids."""
    layout, indexes = schema.layouts[Kind.MEMORY], await schema.indexes(Kind.MEMORY)
    return indexes[layout.id_index]["name"] if layout.has_unique_ids(indexes) else None


def _change(query: dict[str, Any], document: dict[str, Any]) -> UpdateOne:
    unchanged = {**query, "_id": document["_id"], "updated_at": document.get("updated_at")}
    fields = {encoding.MARK[Kind.MEMORY]: encoding.LAYOUT, **_user(document.get("user_id"))}
    update: dict[str, Any] = {"$set": fields}
    row = _read(document)
    if isinstance(row, Record):
        try:
            fields |= _fields(row)
            update["$unset"] = {"_version": ""}
        except TooLargeError:  # Its keys would need escapes that it has no room for.
            pass
    return UpdateOne(unchanged, update)


def _user(user_id: Any) -> dict[str, Any]:
    is_user = user_id is None or isinstance(user_id, str)
    return {"user_id": encode_user(user_id)} if is_user else {}


def _fields(row: Record) -> dict[str, Any]:
    """Return what a document of today has and an older one has not, or has in another form."""
    return {
        "user_id": encode_user(row.user_id),
        "memory": dump(row.payload, 0),
        "vector": None,
        "created_at": row.created_at,
        "created_us": encoding.to_us(row.created_at),
        "updated_at": row.updated_at,
        "updated_us": encoding.to_us(row.updated_at),
        "expires_at": None,
        "expires_us": None,
        "stamp": Int64(new_stamp()),
        "version": Int64(1),
    }
