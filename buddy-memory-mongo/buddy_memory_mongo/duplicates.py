"""Documents that stand twice under one user and id, and their removal.

A writer that upserts a moment after another client dropped the collection makes it again without
the unique index, and two such writers may both insert the same row.
"""

from __future__ import annotations

from typing import Any

from buddy.memory.storage.record import Kind
from buddy_memory_mongo.database import Database
from buddy_memory_mongo.deletions import delete_each
from buddy_memory_mongo.encoding import ID, Document, mark


async def remove_duplicates(database: Database, kind: Kind) -> bool:
    """Keep of each user and id the document that was written last; tell whether any stood twice.

    A document that is written meanwhile is not deleted: the next call finds it again.
    """
    state = {"_id": "$_id", "updated_us": "$updated_us", "stamp": "$stamp"}
    pipeline: list[dict[str, Any]] = [
        {"$match": mark(kind)},
        {
            "$group": {
                "_id": {"user_id": "$user_id", "id": f"${ID[kind]}"},
                "documents": {"$push": state},
            }
        },
        {"$match": {"documents.1": {"$exists": True}}},
    ]
    groups = await database.aggregate(kind, pipeline, primary=True, allowDiskUse=True)
    superseded = [
        {"_id": document["_id"], "stamp": document.get("stamp"), **mark(kind)}
        for group in groups
        for document in sorted(group["documents"], key=_last_write)[:-1]
    ]
    if superseded:
        await delete_each(database, kind, superseded)
    return bool(groups)


def _last_write(document: Document) -> tuple[int, Any]:
    updated_us = document.get("updated_us")
    # One that cannot be read is older than all that can.
    return updated_us if isinstance(updated_us, int) else -(2**63), document["_id"]
