"""The limit for MongoDB: PyMongo by hand, with the same documents and indexes.

Its order is that of the server's ObjectIds, it looks for no documents of others beside its own,
and its times may stand still. It pages as ours does, by the last row seen: a cursor takes as many
round trips, and is lost with the server's primary or after ten minutes without a question.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from bson.int64 import Int64
from pymongo import AsyncMongoClient, IndexModel, MongoClient, ReturnDocument, UpdateOne

from benchmarks.sides import PAGE, Row

EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=timezone.utc), timedelta(microseconds=1)
ONE = Int64(1)
INDEXES = [
    IndexModel([("user_id", 1), ("id", 1)], unique=True),
    IndexModel([("user_id", 1), ("_id", 1)]),
]


class Limit:
    """One collection on one client."""

    name = "by hand"
    store = "limit"
    asynchronous = False

    def __init__(self, where: str, name: str) -> None:
        self.url, self.collection = where, name

    def open(self) -> None:
        self.client: Any = MongoClient(self.url)
        self.rows = self.client["bench"][self.collection]

    def create(self) -> Any:
        return self.rows.create_indexes(INDEXES)

    def put(self, id: str, user: str, memory: dict[str, Any]) -> Any:
        return self.rows.find_one_and_update(
            {"user_id": user, "id": id},
            update(memory),
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )

    def put_many(self, rows: list[Row]) -> Any:
        writes = [
            UpdateOne({"user_id": user, "id": id}, update(m), upsert=True) for id, user, m in rows
        ]
        return self.rows.bulk_write(writes, ordered=False)

    def exists(self, id: str, user: str) -> Any:
        return self.rows.find_one({"user_id": user, "id": id}, {"_id": 1})

    def get(self, id: str, user: str) -> Any:
        return self.rows.find_one({"user_id": user, "id": id})

    def newest(self, user: str, limit: int) -> Any:
        return self.rows.find({"user_id": user}).sort("_id", -1).limit(limit).to_list()

    def page(self, user: str | None) -> Any:
        found, query = 0, of(user)
        while rows := self.following(query).to_list():
            found, query = found + len(rows), of(user, rows[-1]["_id"])
        return found

    def following(self, query: dict[str, Any]) -> Any:
        return self.rows.find(query, sort=[("_id", -1)], limit=PAGE, batch_size=PAGE)

    def delete(self, id: str, user: str) -> Any:
        return self.rows.delete_one({"user_id": user, "id": id})

    def close(self) -> Any:
        return self.client.close()


class LimitAsync(Limit):
    """The same calls, awaited."""

    name = "by hand, async"
    asynchronous = True

    def open(self) -> None:
        self.client = AsyncMongoClient(self.url)
        self.rows = self.client["bench"][self.collection]

    async def page(self, user: str | None) -> int:
        found, query = 0, of(user)
        while rows := await self.following(query).to_list():
            found, query = found + len(rows), of(user, rows[-1]["_id"])
        return found


def of(user: str | None, last: Any = None) -> dict[str, Any]:
    query: dict[str, Any] = {} if user is None else {"user_id": user}
    return query if last is None else {**query, "_id": {"$lt": last}}


def update(memory: dict[str, Any]) -> dict[str, Any]:
    now = datetime.now(timezone.utc)
    now_us = Int64((now - EPOCH) // MICROSECOND)
    return {
        "$set": {"memory": memory, "updated_at": now, "updated_us": now_us},
        "$inc": {"version": ONE},
        "$setOnInsert": {"buddy_memory": 1, "created_at": now, "created_us": now_us},
    }


SIDES = [Limit, LimitAsync]
