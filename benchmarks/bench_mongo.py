"""MongoDB against hand-written PyMongo with the same indexes, on the same server.

python benchmarks/bench_mongo.py [--rows 1000,100000] [--url mongodb://…]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from itertools import count
from pathlib import Path
from typing import Any

import pymongo
from measure import HEAD, Case, Result, machine, measure, save
from pymongo import MongoClient, ReturnDocument, UpdateOne

from buddy.memory.v2.db.mongodb import AsyncMongoMemoryDb, MongoMemoryDb
from buddy.memory.v2.db.schema import MemoryRow

ROOT = Path(__file__).resolve().parent.parent
ROWS_OF_A_USER = 20
TARGET = "≤ 1.3"


def payload(n: int) -> dict[str, Any]:
    return {
        "memory": f"The user said for the {n}th time that they like tea and walks by the river",
        "topics": ["tea", "walks"],
        "last_updated": "2026-01-01T00:00:00+00:00",
        "score": n / 7,
    }


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

    def upsert_many(self, rows: list[tuple[str, str, dict[str, Any]]]) -> None:
        self.rows.bulk_write(
            [
                UpdateOne({"id": id, "user_id": user}, self.update(memory), upsert=True)
                for id, user, memory in rows
            ],
            ordered=False,
        )

    def newest(self, user: str, limit: int) -> list[dict[str, Any]]:
        return self.rows.find({"user_id": user}).sort("_id", -1).limit(limit).to_list()

    def get(self, id: str, user: str) -> dict[str, Any] | None:
        return self.rows.find_one({"id": id, "user_id": user})

    def delete(self, id: str) -> None:
        self.rows.delete_one({"id": id})


def cases(url: str, size: int, bulk_rows: int) -> Iterator[Case]:
    """Yield the operations on two equal stores of ``size`` rows, one for each side."""
    users = size // ROWS_OF_A_USER
    ours, hand = MongoMemoryDb("ours", url, "bench"), ByHand(url, "hand")
    for start in range(0, size, 10_000):
        numbers = range(start, min(start + 10_000, size))
        rows = [(f"id-{n}", f"user-{n % users}", payload(n)) for n in numbers]
        ours.upsert_memories(MemoryRow(memory, id, user) for id, user, memory in rows)
        hand.upsert_many(rows)
    fresh, mine_gone, theirs_gone = count(), count(), count()

    def case(name: str, times: int, one: Any, other: Any) -> Case:
        def repeat(call: Any) -> Any:
            return lambda: [call(n) for n in range(times)]

        return Case(name, size, repeat(one), repeat(other), times, TARGET)

    yield case(
        "upsert, new row",
        100,
        lambda n: ours.upsert_memory(MemoryRow(payload(n), f"new-{next(fresh)}", f"new-{n}")),
        lambda n: hand.upsert(f"new-{next(fresh)}", f"new-{n}", payload(n)),
    )
    yield case(
        "upsert, update",
        10 if size > 10_000 else 50,
        lambda n: ours.upsert_memory(MemoryRow(payload(n), f"id-{n}", f"user-{n % users}")),
        lambda n: hand.upsert(f"id-{n}", f"user-{n % users}", payload(n)),
    )
    yield case(
        "read_memory(id, user_id=user)",
        200,
        lambda n: ours.read_memory(f"id-{n}", user_id=f"user-{n % users}"),
        lambda n: hand.get(f"id-{n}", f"user-{n % users}"),
    )
    yield case(
        "read_memories(user, limit=20)",
        100,
        lambda n: ours.read_memories(f"user-{n % users}", limit=20),
        lambda n: hand.newest(f"user-{n % users}", 20),
    )
    yield case(
        "delete_memory(id)",
        20,
        lambda n: ours.delete_memory(f"id-{size - 1 - next(mine_gone)}"),
        lambda n: hand.delete(f"id-{size - 1 - next(theirs_gone)}"),
    )

    def bulk(write: Any, make: Any) -> Any:
        def run() -> None:
            first = next(fresh) * 10_000
            write([make(first + n) for n in range(bulk_rows)])

        return run

    mine = bulk(ours.upsert_memories, lambda n: MemoryRow(payload(n), f"b-{n}", f"b-{n % 500}"))
    other = bulk(hand.upsert_many, lambda n: (f"b-{n}", f"b-{n % 500}", payload(n)))
    yield Case(f"bulk upsert of {bulk_rows:,}, per row", size, mine, other, bulk_rows, TARGET)
    ours.drop_table()
    ours.close()
    hand.rows.drop()
    hand.client.close()


def throughput(url: str, writes: int = 1000) -> str:
    """Return upserts per second of 8 threads, and of 64 tasks of one event loop."""
    db, fresh = MongoMemoryDb("rate", url, "bench"), count()

    def row() -> MemoryRow:
        n = next(fresh)
        return MemoryRow(payload(n), f"t-{n}", f"user-{n % 500}")

    def timed(start: float) -> float:
        return writes / (time.perf_counter() - start)

    def threads() -> float:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: db.ping(), range(64)))
            db.upsert_memory(row())
            start = time.perf_counter()
            list(pool.map(lambda _: db.upsert_memory(row()), range(writes)))
            return timed(start)

    async def tasks() -> float:
        async with AsyncMongoMemoryDb("rate", url, "bench") as async_db:
            # Connections are made before the clock runs, as those of the threads are.
            await asyncio.gather(*[async_db.ping() for _ in range(64)])
            await async_db.upsert_memory(row())
            start, numbers = time.perf_counter(), iter(range(writes))

            async def worker() -> None:
                for _ in numbers:
                    await async_db.upsert_memory(row())

            await asyncio.gather(*[worker() for _ in range(64)])
            return timed(start)

    pairs = []
    for _ in range(5):
        pairs.append((threads(), asyncio.run(tasks())))
        db.clear()
    db.drop_table()
    db.close()
    sync, concurrent = (sorted(side)[2] for side in zip(*pairs, strict=True))
    return f"upserts per second: {sync:,.0f} by 8 threads, {concurrent:,.0f} by 64 tasks"


def run(url: str, sizes: list[int], rounds: int, bulk: int) -> tuple[list[Result], str]:
    """Measure at each size, print as it goes, and return the results."""
    with MongoClient(url) as client:
        version = str(client.server_info()["version"])
    where = machine(server=version, PyMongo=pymongo.version)
    print(where, HEAD, sep="\n\n")
    results: list[Result] = []
    for size in sizes:
        results += measure(cases(url, size, bulk), rounds)
    print(throughput(url))
    return results, where


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="1000,100000")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--bulk", type=int, default=10_000)
    parser.add_argument("--url", help="a server to work in; default: a SecantusDB of its own")
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    sizes = [int(number) for number in arguments.rows.split(",")]
    if arguments.url:
        results, where = run(arguments.url, sizes, arguments.rounds, arguments.bulk)
    else:
        sys.path.insert(0, str(ROOT))
        from tests.servers.mongo import MongoServer

        server = MongoServer()
        try:
            results, where = run(server.url, sizes, arguments.rounds, arguments.bulk)
        finally:
            server.stop()
    if arguments.json:
        save(arguments.json, results, where)


if __name__ == "__main__":
    main()
