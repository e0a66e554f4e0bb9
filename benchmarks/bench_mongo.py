"""MongoDB against hand-written PyMongo with the same indexes, on the same server.

    python benchmarks/bench_mongo.py [--sizes 1000,10000]

The server is that of the tests, which scans a collection for findAndModify: on it an update grows
with the collection, by hand too. BUDDY_TEST_MONGO_URL names another server.
"""

from __future__ import annotations

import os
from datetime import datetime, timezone
from functools import partial
from typing import Any

import pymongo
import scenario
from measure import Result, machine, measure
from pymongo import MongoClient, ReturnDocument, UpdateOne
from scenario import Row, cases, fill, throughput

from buddy.memory.v2.db.mongodb import AsyncMongoMemoryDb, MongoMemoryDb

DATABASE = "bench"
TARGETS = dict.fromkeys(
    ("upsert, new row", "upsert, update", "memory_exists", "read_memory", "delete_memory",
     "read_memories(user, limit=20)", "bulk"),
    "≤ 1.3",
)  # fmt: skip


class ByHand:
    """What one would write without a library: the same indexes, a version, two dates.

    Its times are those of the driver, to the millisecond and as the clock tells, its order is that
    of the driver's ObjectIds, and it does not tell whose row refused a write.
    """

    def __init__(self, url: str, name: str) -> None:
        self.client: MongoClient[dict[str, Any]] = MongoClient(url)
        self.rows = self.client["bench"][name]
        self.rows.create_index([("id", 1)], unique=True)
        self.rows.create_index([("user_id", 1), ("_id", 1)])

    @staticmethod
    def update(memory: dict[str, Any]) -> dict[str, Any]:
        now = datetime.now(timezone.utc)
        return {
            "$set": {"memory": memory, "updated_at": now},
            "$inc": {"version": 1},
            "$setOnInsert": {"created_at": now},
        }

    def upsert(self, id: str, user: str, memory: dict[str, Any]) -> Any:
        return self.rows.find_one_and_update(
            {"id": id, "user_id": user},
            self.update(memory),
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )

    def upsert_many(self, rows: list[Row]) -> None:
        self.rows.bulk_write(
            [
                UpdateOne({"id": id, "user_id": user}, self.update(memory), upsert=True)
                for id, user, memory in rows
            ],
            ordered=False,
        )

    def newest(self, user: str, limit: int) -> list[dict[str, Any]]:
        return self.rows.find({"user_id": user}).sort("_id", -1).limit(limit).to_list()

    def exists(self, id: str) -> bool:
        return self.rows.find_one({"id": id}, {"_id": 1}) is not None

    def get(self, id: str) -> dict[str, Any] | None:
        return self.rows.find_one({"id": id})

    def delete(self, id: str) -> None:
        self.rows.delete_one({"id": id})


def run(url: str, rows: int) -> list[Result]:
    """Measure on two equally filled collections."""
    names = f"ours{rows}", f"hand{rows}"
    hand = ByHand(url, names[1])
    with MongoMemoryDb(names[0], url, DATABASE) as ours:
        fill(ours, rows)
        hand.upsert_many(
            [(f"id-{n}", f"user-{n % 1000}", scenario.payload(n)) for n in range(rows)]
        )
        heavy = [(f"heavy-{u}-{n}", f"heavy-{u}") for u in range(scenario.HEAVY) for n in range(20)]
        hand.upsert_many([(*row, scenario.payload(n)) for n, row in enumerate(heavy)])
        results = measure(cases(ours, hand, rows, TARGETS, times=40), rounds=5)
        ours.clear()
        print(throughput(ours, lambda: AsyncMongoMemoryDb(names[0], url, DATABASE), 1000))
        ours.drop_table()
    hand.rows.drop()
    hand.client.close()
    return results


def where(url: str) -> str:
    with MongoClient(url) as client:
        return machine(server=str(client.server_info()["version"]), PyMongo=pymongo.version)


def main() -> None:
    given = os.environ.get("BUDDY_TEST_MONGO_URL")
    if given:
        scenario.main(__doc__, partial(where, given), partial(run, given))
        return
    from tests.servers.mongo import MongoServer

    server = MongoServer()
    try:
        url = server.url
        scenario.main(__doc__, partial(where, url), partial(run, url), "1000,10000")
    finally:
        server.stop()


if __name__ == "__main__":
    main()
