"""Many at once: threads on a synchronous side, tasks of one event loop on an asynchronous one."""

from __future__ import annotations

import gc
import inspect
import time
from asyncio import gather
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from statistics import median, quantiles
from typing import Any

from benchmarks.measure import loop, reason
from benchmarks.operations import user
from benchmarks.sides import payload

AT_ONCE = 64
THREADS = 8
_numbers = count()

Call = Callable[[Any, int, int], Any]
"""Makes the n-th call on a side whose store has so many rows."""


def mixed(side: Any, n: int, rows: int) -> Any:
    """Make one call of the mix: 4 of 10 read by id, 2 list, 3 update, 1 writes a new row."""
    kind, standing = n % 10, n * 7919 % rows
    if kind < 4:
        return side.get(f"id-{standing}", user(standing))
    if kind < 6:
        return side.newest(user(standing), 20)
    if kind < 9:
        return side.put(f"id-{standing}", user(standing), payload(n))
    return side.put(f"load-{next(_numbers)}", user(n), payload(n))


def upsert(side: Any, n: int, rows: int) -> Any:
    """Make one call of a load of upserts, of new rows and standing ones by turns."""
    standing = n * 7919 % rows
    id = f"id-{standing}" if n % 2 else f"load-{next(_numbers)}"
    return side.put(id, user(standing), payload(n))


def run(
    side: Any, calls: int, rows: int, at_once: int = AT_ONCE, call: Call = mixed
) -> tuple[float, list[float]]:
    """Return how long so many calls took together, and each one's seconds."""
    numbers, taken = iter(range(calls)), []

    def thread(_: int) -> None:
        for n in numbers:
            start = time.perf_counter()
            call(side, n, rows)
            taken.append(time.perf_counter() - start)

    async def task() -> None:
        for n in numbers:
            start = time.perf_counter()
            found = call(side, n, rows)
            if inspect.isawaitable(found):
                await found
            taken.append(time.perf_counter() - start)

    async def tasks() -> None:
        await gather(*[task() for _ in range(at_once)])

    gc.collect()
    start = time.perf_counter()
    if side.asynchronous:
        loop.run_until_complete(tasks())
    else:
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(thread, range(at_once)))
    return time.perf_counter() - start, taken


def measure(sides: Sequence[Any], rows: int, number: int, calls: int) -> list[dict[str, Any]]:
    """Return the throughput and the latencies of all sides, as medians of interleaved rounds."""
    results: dict[str, dict[str, Any]] = {}
    taken: dict[str, list[tuple[float, float, float]]] = {}
    sizes = {}
    for side in sides:
        try:
            spent, _ = run(side, 2 * AT_ONCE, rows)
            sizes[side.name] = max(2 * AT_ONCE, min(calls, int(2 * AT_ONCE / spent)))
            taken[side.name] = []
        except Exception as error:
            results[side.name] = {"missing": reason(error)}
    for _ in range(number):
        for side in sides:
            if side.name in sizes:
                spent, each = run(side, sizes[side.name], rows)
                points = quantiles(each, n=100)
                taken[side.name].append((len(each) / spent, points[49], points[98]))
    for name, found in taken.items():
        rate, p50, p99 = (median(column) for column in zip(*found, strict=True))
        results[name] = {"per_second": rate, "p50_ms": p50 * 1e3, "p99_ms": p99 * 1e3}
        limit = taken.get("by hand, async" if name.endswith(", async") else "by hand")
        if limit:
            pairs = zip(found, limit, strict=True)
            results[name]["ratio"] = median(mine[0] / other[0] for mine, other in pairs)
    return [{"side": side.name, "rows": rows, **results[side.name]} for side in sides]


def tasks_and_threads(
    blocking: Any, asynchronous: Any, rows: int, number: int, calls: int
) -> dict[str, float]:
    """Return the upserts per second of 8 threads and of 64 tasks, as medians of rounds by turns,
    and the median of the rounds' ratios, tasks to threads."""

    def rate(side: Any, at_once: int, calls: int = calls) -> float:
        return calls / run(side, calls, rows, at_once, upsert)[0]

    calls = max(AT_ONCE, min(calls, int(rate(blocking, THREADS, AT_ONCE))))
    rate(asynchronous, AT_ONCE, AT_ONCE)
    pairs = [(rate(blocking, THREADS), rate(asynchronous, AT_ONCE)) for _ in range(number)]
    threads, tasks = (median(column) for column in zip(*pairs, strict=True))
    ratio = median(mine / other for other, mine in pairs)
    return {"rows": rows, "threads": threads, "tasks": tasks, "ratio": ratio}
