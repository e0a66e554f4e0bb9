"""What is measured, the same for every backend: the operations, and throughput under load."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from measure import HEAD, Case, Result, save

from buddy.memory.v2.db.schema import MemoryRow

USERS = 1000
HEAVY = 200
"""Users with 20 rows each, of whom the newest 20 are read."""

Row = tuple[str, str, dict[str, Any]]
"""Id, user id, payload."""

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for tests.servers


def payload(n: int) -> dict[str, Any]:
    """Return a memory of ordinary size."""
    return {
        "memory": f"The user said for the {n}th time that they like tea and walks by the river",
        "topics": ["tea", "walks"],
        "last_updated": "2026-01-01T00:00:00+00:00",
        "score": n / 7,
    }


_batches = count()


class ByHand(Protocol):
    """Hand-written driver code that does the same work with the same durability."""

    def upsert(self, id: str, user: str, memory: dict[str, Any]) -> Any: ...
    def upsert_many(self, rows: list[Row]) -> Any: ...
    def exists(self, id: str) -> bool: ...
    def get(self, id: str) -> Any: ...
    def newest(self, user: str, limit: int) -> list[Any]: ...
    def delete(self, id: str) -> Any: ...


def fill(db: Any, rows: int) -> None:
    """Store ``rows`` memories of 1,000 users, and 20 of each heavy user."""
    for start in range(0, rows, 10_000):
        numbers = range(start, min(rows, start + 10_000))
        db.upsert_memories(MemoryRow(payload(n), f"id-{n}", f"user-{n % USERS}") for n in numbers)
    db.upsert_memories(
        MemoryRow(payload(n), f"heavy-{user}-{n}", f"heavy-{user}")
        for user in range(HEAVY)
        for n in range(20)
    )


def cases(
    ours: Any, hand: ByHand, rows: int, targets: dict[str, str], times: int = 300
) -> Iterator[Case]:
    """Yield the operations on two equally filled stores."""
    fresh = count()

    def repeat(call: Callable[[int], Any]) -> Callable[[], Any]:
        return lambda: [call(n) for n in range(times)]

    def case(name: str, one: Callable[[int], Any], other: Callable[[int], Any]) -> Case:
        return Case(name, rows, repeat(one), repeat(other), times, targets.get(name, ""))

    yield case(
        "upsert, new row",
        lambda n: ours.upsert_memory(MemoryRow(payload(n), f"new-{next(fresh)}", f"user-{n}")),
        lambda n: hand.upsert(f"new-{next(fresh)}", f"user-{n}", payload(n)),
    )
    yield case(
        "upsert, update",
        lambda n: ours.upsert_memory(MemoryRow(payload(n), f"id-{n}", f"user-{n % USERS}")),
        lambda n: hand.upsert(f"id-{n}", f"user-{n % USERS}", payload(n)),
    )
    yield case(
        "memory_exists",
        lambda n: ours.memory_exists(MemoryRow({}, f"id-{n}")),
        lambda n: hand.exists(f"id-{n}"),
    )
    yield case("read_memory", lambda n: ours.read_memory(f"id-{n}"), lambda n: hand.get(f"id-{n}"))
    yield case(
        "read_memories(user, limit=20)",
        lambda n: ours.read_memories(f"heavy-{n % HEAVY}", limit=20),
        lambda n: hand.newest(f"heavy-{n % HEAVY}", 20),
    )
    mine, theirs = count(), count()
    yield case(
        "delete_memory",
        lambda n: ours.delete_memory(f"heavy-{next(mine) % HEAVY}-{n % 20}"),
        lambda n: hand.delete(f"heavy-{next(theirs) % HEAVY}-{n % 20}"),
    )
    yield bulk_case(ours.upsert_memories, hand.upsert_many, rows, targets.get("bulk", ""))


def bulk_case(ours: Any, hand: Any, rows: int, target: str, name: str = "") -> Case:
    """Return the bulk upsert of 10,000 new rows; ``name`` says against what, if there are more."""

    def new() -> list[Row]:
        first = next(_batches) * 10_000
        return [(f"b-{first + n}", f"user-{n % USERS}", payload(n)) for n in range(10_000)]

    return Case(
        f"bulk upsert of 10,000, per row{name}",
        rows,
        lambda: ours([MemoryRow(memory, id, user) for id, user, memory in new()]),
        lambda: hand(new()),
        10_000,
        target,
    )


def throughput(db: Any, open_async: Callable[[], Any], writes: int = 4000) -> str:
    """Return upserts per second of 8 threads, and of 64 tasks of one event loop."""
    fresh = count()

    def row() -> MemoryRow:
        n = next(fresh)
        return MemoryRow(payload(n), f"t-{n}", f"user-{n % USERS}")

    def threads() -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: db.upsert_memory(row()), range(writes)))

    async def tasks() -> None:
        async with open_async() as async_db:
            numbers = iter(range(writes))

            async def worker() -> None:
                for _ in numbers:
                    await async_db.upsert_memory(row())

            await asyncio.gather(*[worker() for _ in range(64)])

    def rate(run: Callable[[], object]) -> float:
        start = time.perf_counter()
        run()
        return writes / (time.perf_counter() - start)

    pairs = [(rate(threads), rate(lambda: asyncio.run(tasks()))) for _ in range(5)]
    sync, concurrent = (sorted(side)[2] for side in zip(*pairs, strict=True))
    return f"upserts per second: {sync:,.0f} by 8 threads, {concurrent:,.0f} by 64 tasks"


def main(
    description: str | None,
    where: Callable[[], str],
    run: Callable[[int], Sequence[Result]],
    sizes: str = "1000,100000",
) -> None:
    """Parse the arguments, measure at each size, and save the results where that is asked for."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--sizes", default=sizes, help=f"default {sizes}")
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    print(where(), HEAD, sep="\n\n")
    results = [result for size in arguments.sizes.split(",") for result in run(int(size))]
    if arguments.json:
        save(arguments.json, results, where())
