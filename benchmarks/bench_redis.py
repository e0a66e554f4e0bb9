"""Valkey against hand-written redis-py with a sorted-set index, on the same server.

python benchmarks/bench_redis.py [--foreign 0,1000000] [--url redis://…]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from itertools import count
from pathlib import Path
from typing import Any

import redis
from measure import HEAD, Case, Result, machine, measure, save
from scenario import USERS, payload, throughput

from buddy.memory.v2.db.redis import AsyncRedisMemoryDb, RedisMemoryDb
from buddy.memory.v2.db.schema import MemoryRow

ROWS = 20_000
TARGET = "≤ 1.3"


class ByHand:
    """What one would write without a library: a string for each row, a sorted set for each user.

    It knows no versions, does not check owners, and cannot list all users.
    """

    def __init__(self, url: str) -> None:
        self.client = redis.Redis.from_url(url)

    @staticmethod
    def dump(id: str, user: str, memory: dict[str, Any]) -> str:
        now = datetime.now(timezone.utc).isoformat()
        return json.dumps({"id": id, "user_id": user, "memory": memory, "created_at": now})

    def add(self, pipeline: Any, id: str, user: str, memory: dict[str, Any]) -> None:
        pipeline.set(f"hand:row:{id}", self.dump(id, user, memory))
        pipeline.zadd(f"hand:index:{user}", {id: time.time()}, nx=True)

    def upsert(self, id: str, user: str, memory: dict[str, Any]) -> None:
        with self.client.pipeline() as pipeline:
            self.add(pipeline, id, user, memory)
            pipeline.execute()

    def upsert_many(self, rows: list[tuple[str, str, dict[str, Any]]]) -> None:
        for start in range(0, len(rows), 1000):
            with self.client.pipeline(transaction=False) as pipeline:
                for row in rows[start : start + 1000]:
                    self.add(pipeline, *row)
                pipeline.execute()

    def newest(self, user: str, limit: int) -> list[dict[str, Any]]:
        ids = self.client.zrevrange(f"hand:index:{user}", 0, limit - 1)
        texts = self.client.mget([b"hand:row:" + id for id in ids])
        return [json.loads(text) for text in texts if text]

    def get(self, id: str) -> dict[str, Any] | None:
        text = self.client.get(f"hand:row:{id}")
        return None if text is None else json.loads(text)

    def exists(self, id: str) -> bool:
        return bool(self.client.exists(f"hand:row:{id}"))

    def delete(self, id: str) -> None:
        row = self.get(id)
        if row is not None:
            with self.client.pipeline() as pipeline:
                pipeline.delete(f"hand:row:{id}")
                pipeline.zrem(f"hand:index:{row['user_id']}", id)
                pipeline.execute()


def cases(url: str, foreign: int) -> Iterator[Case]:
    """Yield the operations on two equal stores, one for each side."""
    ours, hand = RedisMemoryDb("bench", db_url=url), ByHand(url)
    rows = [(f"id-{n}", f"user-{n % USERS}", payload(n)) for n in range(ROWS)]
    ours.upsert_memories(MemoryRow(memory, id, user) for id, user, memory in rows)
    hand.upsert_many(rows)
    fresh, mine_gone, theirs_gone = count(), count(), count()

    def case(name: str, times: int, one: Any, other: Any) -> Case:
        def repeat(call: Any) -> Any:
            return lambda: [call(n) for n in range(times)]

        return Case(name, foreign, repeat(one), repeat(other), times, TARGET)

    yield case(
        "upsert, new row",
        1000,
        lambda n: ours.upsert_memory(MemoryRow(payload(n), f"new-{next(fresh)}", f"user-{n}")),
        lambda n: hand.upsert(f"new-{next(fresh)}", f"user-{n}", payload(n)),
    )
    yield case(
        "upsert, update",
        1000,
        lambda n: ours.upsert_memory(MemoryRow(payload(n), f"id-{n}", f"user-{n % USERS}")),
        lambda n: hand.upsert(f"id-{n}", f"user-{n % USERS}", payload(n)),
    )
    yield case(
        "memory_exists (with its user)",
        1000,
        lambda n: ours.memory_exists(MemoryRow({}, f"id-{n}", f"user-{n % USERS}")),
        lambda n: hand.exists(f"id-{n}"),
    )
    yield case(
        "read_memory(id, user_id=user)",
        1000,
        lambda n: ours.read_memory(f"id-{n}", user_id=f"user-{n % USERS}"),
        lambda n: hand.get(f"id-{n}"),
    )
    yield case(
        "read_memory(id)",
        1000,
        lambda n: ours.read_memory(f"id-{n}"),
        lambda n: hand.get(f"id-{n}"),
    )
    yield case(
        "read_memories(user, limit=20)",
        500,
        lambda n: ours.read_memories(f"user-{n}", limit=20),
        lambda n: hand.newest(f"user-{n}", 20),
    )
    yield case(
        "delete_memory(id)",
        500,
        lambda n: ours.delete_memory(f"id-{ROWS - 1 - next(mine_gone)}"),
        lambda n: hand.delete(f"id-{ROWS - 1 - next(theirs_gone)}"),
    )

    def bulk(write: Any, make: Any) -> Any:
        def run() -> None:
            first = next(fresh) * 10_000
            write([make(first + n) for n in range(10_000)])

        return run

    mine = bulk(
        ours.upsert_memories, lambda n: MemoryRow(payload(n), f"b-{n}", f"user-{n % USERS}")
    )
    other = bulk(hand.upsert_many, lambda n: (f"b-{n}", f"user-{n % USERS}", payload(n)))
    yield Case("bulk upsert of 10,000, per row", foreign, mine, other, 10_000, TARGET)
    mine = bulk(ours.upsert_memories, lambda n: MemoryRow(payload(n), f"b-{n}", "one"))
    other = bulk(hand.upsert_many, lambda n: (f"b-{n}", "one", payload(n)))
    yield Case("… of one user, per row", foreign, mine, other, 10_000, TARGET)
    ours.drop_table()
    ours.close()
    hand.client.close()


def run(url: str, foreign: list[int]) -> tuple[list[Result], str]:
    """Measure beside so many keys of others, print as it goes, and return the results."""
    with redis.Redis.from_url(url) as client:
        info: Any = client.info("server")
        version = str(info.get("valkey_version") or info["redis_version"])
        where = machine(server=version, redis_py=redis.__version__)
        print(where, HEAD.replace("rows", "foreign keys"), sep="\n\n")
        results: list[Result] = []
        for number in foreign:
            _fill(client, number)
            results += measure(cases(url, number))
        with RedisMemoryDb("bench", db_url=url) as db:
            print(throughput(db, lambda: AsyncRedisMemoryDb("bench", db_url=url)))
            db.drop_table()
    return results, where


def _fill(client: Any, number: int) -> None:
    """Make keys of others, also where older software looks for its memories."""
    for start in range(0, number, 10_000):
        client.mset(
            {f"bench:{n}" if n % 2 else f"other:{n}": n for n in range(start, start + 10_000)}
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--foreign", default="0,1000000")
    parser.add_argument("--url", help="a server to work in; default: a Valkey of its own")
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    foreign = [int(number) for number in arguments.foreign.split(",")]
    if arguments.url:
        results, where = run(arguments.url, foreign)
    else:
        from tests.servers.redis import RedisServer, valkey

        server = RedisServer(valkey(), "--save", "")
        try:
            results, where = run(server.url, foreign)
        finally:
            server.stop()
    if arguments.json:
        save(arguments.json, results, where)


if __name__ == "__main__":
    main()
