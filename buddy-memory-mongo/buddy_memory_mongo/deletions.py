"""Deletions: many documents in as few commands as the driver makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bson import ObjectId
from pymongo import DeleteOne

from buddy.memory.storage.record import Key, Kind, Scope
from buddy_memory_mongo import encoding
from buddy_memory_mongo.database import Database
from buddy_memory_mongo.ends import ENDED
from buddy_memory_mongo.errors import BulkRefused
from buddy_memory_mongo.lookups import PART


async def delete_keys(database: Database, kind: Kind, keys: Sequence[Key]) -> int:
    """Delete the rows with these keys; return how many there were that had not ended."""
    await remove_ended(database, kind, keys)
    deleted = 0
    for start in range(0, len(keys), PART):
        part = [encoding.ours_by_key(kind, *key) for key in keys[start : start + PART]]
        deleted += await delete_each(database, kind, part)
    return deleted


async def remove_ended(database: Database, kind: Kind, keys: Sequence[Key]) -> None:
    """Remove those of the rows that have ended, so that what is written there is new."""
    if len(keys) > 1 and not await _any_ended(database, kind):
        return
    for start in range(0, len(keys), PART):
        part = keys[start : start + PART]
        filters = [{**encoding.ours_by_key(kind, *key), **ENDED} for key in part]
        await delete_each(database, kind, filters)


async def _any_ended(database: Database, kind: Kind) -> bool:
    return bool(await database.find(kind, ENDED, {"_id": True}, limit=1, primary=True))


async def delete_scope(database: Database, kind: Kind, scope: Scope) -> int:
    """Delete the rows of a scope; return how many there were.

    In commands that each take a short time, and up to the row that is the newest after the first of
    them, so that it ends while other clients write.
    """
    query, deleted = {**encoding.of_scope(scope), **encoding.mark(kind)}, 0
    fields = {"_id": True, "user_id": True, encoding.ID[kind]: True}
    while found := await database.find(
        kind, query, fields, limit=PART, batch_size=PART, primary=True
    ):
        deleted += await delete_each(database, kind, found)
        if len(found) < PART:
            break
        if "_id" not in query:
            newest = await _newest(database, kind, query, scope)
            query["_id"] = {"$lte": newest}
    return deleted


async def _newest(
    database: Database, kind: Kind, query: dict[str, Any], scope: Scope
) -> ObjectId | None:
    order = encoding.order_of(scope, newest_first=True)
    found = await database.find(kind, query, {"_id": True}, sort=order, limit=1, primary=True)
    return found[0]["_id"] if found else None


async def delete_each(database: Database, kind: Kind, documents: Sequence[dict[str, Any]]) -> int:
    """Delete a document for each filter; return how many there were."""
    if not documents:
        return 0
    # Not one deleteMany: the driver repeats only single deletions after an interruption.
    commands = [DeleteOne(document) for document in documents]
    try:
        result = await database.call(
            kind, lambda c: c.bulk_write(commands, ordered=False), long=True
        )
    except BulkRefused as error:
        raise error.first() from error
    return int(result.deleted_count)
