"""Rows that have ended (rule R14): touched, looked for and removed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from operator import methodcaller
from typing import Any

from bson.int64 import Int64

from buddy.memory.storage.record import Kind, Scope, new_stamp
from buddy.memory.storage.store import Ended
from buddy.memory.storage.users import encode_user
from buddy_memory_mongo import encoding
from buddy_memory_mongo.database import Database
from buddy_memory_mongo.deletions import delete_each
from buddy_memory_mongo.ends import ALIVE, ENDED, end_from_now
from buddy_memory_mongo.lookups import PART


async def touch(
    database: Database, kind: Kind, user_id: str | None, ids: Sequence[str], ttl: timedelta | None
) -> int:
    """Give the living rows another end, ``ttl`` from now on; return how many these were."""
    date, us = (None, None) if ttl is None else end_from_now(ttl)
    update = [{"$set": {"expires_at": date, "expires_us": us, "stamp": Int64(new_stamp())}}]
    count = 0
    for start in range(0, len(ids), PART):
        some = {"$in": list(ids[start : start + PART])}
        query = {"user_id": encode_user(user_id), encoding.ID[kind]: some, **encoding.mark(kind)}
        change = methodcaller("update_many", {**query, **ALIVE}, update)
        result = await database.call(kind, change, long=True)
        count += int(result.matched_count)
    return count


async def sweep(database: Database, kind: Kind, limit: int, scope: dict[str, Any]) -> int:
    """Remove up to ``limit`` rows that match and have ended; return how many these were."""
    query = {**scope, **encoding.mark(kind), **ENDED}
    fields = {"_id": True, "user_id": True, encoding.ID[kind]: True}
    found = await database.find(kind, query, fields, limit=limit, batch_size=limit, primary=True)
    return await delete_each(database, kind, [{**document, **ENDED} for document in found])


async def sweep_scope(database: Database, kind: Kind, scope: Scope) -> None:
    """Remove all rows of a scope that have ended."""
    while await sweep(database, kind, PART, encoding.of_scope(scope)) == PART:
        pass


async def ended(database: Database, kind: Kind) -> Ended:
    """Return how many rows have ended and are still stored."""
    group = {"_id": None, "rows": {"$sum": 1}, "first": {"$min": "$expires_us"}}
    query = {**encoding.mark(kind), **ENDED}
    found = await database.aggregate(kind, [{"$match": query}, {"$group": group}])
    if not found:
        return Ended(0, None)
    return Ended(int(found[0]["rows"]), encoding.from_us(int(found[0]["first"])))
