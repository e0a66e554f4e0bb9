"""The limit for MongoDB: PyMongo by hand, with the same indexes, a version and two dates.

Its times are those of the driver, to the millisecond, and its order is that of ObjectIds.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from pymongo import AsyncMongoClient, IndexModel, MongoClient, ReturnDocument, UpdateOne

from benchmarks.sides import PAGE, Row

INDEXES = [IndexModel("id", unique=True), IndexModel([("user_id", 1), ("_id", 1)])]


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
            {"id": id, "user_id": user},
            update(memory),
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )

    def put_many(self, rows: list[Row]) -> Any:
        writes = [
            UpdateOne({"id": id, "user_id": user}, update(m), upsert=True) for id, user, m in rows
        ]
        return self.rows.bulk_write(writes, ordered=False)

    def exists(self, id: str) -> Any:
        return self.rows.find_one({"id": id}, {"_id": 1})

    def get(self, id: str, user: str) -> Any:
        return self.rows.find_one({"id": id})

    def newest(self, user: str, limit: int) -> Any:
        return self.rows.find({"user_id": user}).sort("_id", -1).limit(limit).to_list()

    def page(self, user: str | None) -> Any:
        query = {} if user is None else {"user_id": user}
        return sum(1 for _ in self.rows.find(query).sort("_id", -1).batch_size(PAGE))

    def delete(self, id: str, user: str) -> Any:
        return self.rows.delete_one({"id": id})

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
        query = {} if user is None else {"user_id": user}
        return sum([1 async for _ in self.rows.find(query).sort("_id", -1).batch_size(PAGE)])


def update(memory: dict[str, Any]) -> dict[str, Any]:
    now = datetime.now(timezone.utc)
    return {
        "$set": {"memory": memory, "updated_at": now},
        "$inc": {"version": 1},
        "$setOnInsert": {"created_at": now},
    }


SIDES = [Limit, LimitAsync]
