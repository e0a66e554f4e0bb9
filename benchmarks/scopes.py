"""Listings of users, prefixes and ids in a large store: what they cost, in SCOPES.md.

    ./run bench scopes [BACKEND…]
    ./run bench scopes sqlite --rows 100000      a trial, which keeps nothing

A store of so many rows and a hundredth as many users. Targets: all users ≤ 200 ms, a page of 20
users ≤ 5 ms, the newest 20 under a prefix ≤ 1 ms where ten rows match and ≤ 15 ms where a tenth of
the store does. They are those of SQLite and PostgreSQL at a million rows; the others are shown.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.backends import BACKENDS
from benchmarks.sides import payload
from buddy.memory import MemoryRow, open_memory_db

HERE = Path(__file__).parent
ROUNDS = 15
ROWS_OF_A_USER = 100
SIZES = {"sqlite": 1_000_000, "postgres": 1_000_000, "redis": 1_000_000}
"""Rows by backend; the others get DEFAULT_ROWS, which their test servers bear."""
DEFAULT_ROWS = 10_000

TARGETS = {
    "all users": 200.0,
    "20 users": 5.0,
    "newest 20 of a prefix, 10 rows match": 1.0,
    "newest 20 of a prefix, a tenth of the rows match": 15.0,
}
"""Milliseconds."""


def rows(count: int) -> Iterator[list[MemoryRow]]:
    """Yield the rows in batches: users take turns, so that no user's rows lie together."""
    users = max(count // ROWS_OF_A_USER, 20)
    batch: list[MemoryRow] = []
    for n in range(count):
        number = n % users
        user = f"big/{number:06}" if number % 10 == 0 else f"user/{number:06}"
        batch.append(MemoryRow(payload(n), f"id-{n}", user))
        if len(batch) == 5_000:
            yield batch
            batch = []
    yield [*batch, *(MemoryRow(payload(n), f"ten-{n}", f"ten/{n}") for n in range(10))]


def cases(db: Any, count: int) -> dict[str, Callable[[], Any]]:
    """Return what is measured, by name."""
    users = max(count // ROWS_OF_A_USER, 20)
    one = f"user/{1:06}"
    ids = [f"id-{n}" for n in range(1, count, users)][:100]
    return {
        "all users": db.list_users,
        "20 users": lambda: db.list_users(prefix="user/", after=f"user/{users // 2:06}", limit=20),
        "newest 20 of a prefix, 10 rows match": lambda: db.read_memories(
            user_prefix="ten/", limit=20
        ),
        "newest 20 of a prefix, a tenth of the rows match": lambda: db.read_memories(
            user_prefix="big/", limit=20
        ),
        "count of a prefix, a tenth of the rows match": lambda: db.count_memories(
            user_prefix="big/"
        ),
        "newest 20 of everybody": lambda: db.read_memories(limit=20),
        "newest 20 of a user": lambda: db.read_memories(one, limit=20),
        "100 ids of a user": lambda: db.read_memories_by_id(ids, user_id=one),
        "one id, no user named": lambda: db.read_memory(ids[0]),
        "change mark of a user": lambda: db.change_mark(one),
    }


def milliseconds(call: Callable[[], Any]) -> float:
    """Return the median of some rounds; a round of a short call is many calls."""
    call()
    start = time.perf_counter()
    call()
    times = max(1, min(200, int(0.02 / (time.perf_counter() - start))))
    found = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(times):
            call()
        found.append((time.perf_counter() - start) / times)
    return median(found) * 1e3


def measured(name: str, count: int) -> dict[str, float]:
    """Fill a store of one backend and measure it."""
    backend = BACKENDS[name]
    with backend.start() as where, open_memory_db(backend.url(where, "scopes")) as db:
        db.create()
        for batch in rows(count):
            db.upsert_memories(batch)
        say(f"{name}: {count:,} rows stored")
        return {case: milliseconds(call) for case, call in cases(db, count).items()}


def table(found: dict[str, dict[str, float]], counts: dict[str, int]) -> str:
    """Return the results as Markdown; what misses a target is bold."""
    heads = [f"{BACKENDS[name].title}, {counts[name]:,} rows" for name in found]
    lines = [f"| ms | target | {' | '.join(heads)} |", f"| --- |{' ---: |' * (len(heads) + 1)}"]
    for case in next(iter(found.values())):
        target = TARGETS.get(case)
        cells = [_cell(found[name][case], target) for name in found]
        lines.append(f"| {case} | {f'≤ {target:g}' if target else ''} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(value: float, target: float | None) -> str:
    shown = f"{value:.3g}"
    return f"**{shown}**" if target is not None and value > target else shown


def say(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def main(given: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="./run bench scopes", description=__doc__)
    parser.add_argument("backend", nargs="*", choices=[*BACKENDS, []])
    parser.add_argument("--rows", type=int)
    arguments = parser.parse_args(given)
    names = arguments.backend or list(BACKENDS)
    counts = {name: arguments.rows or SIZES.get(name, DEFAULT_ROWS) for name in names}
    found = {name: measured(name, counts[name]) for name in names}
    text = table(found, counts)
    print(text)
    if not arguments.rows:
        head = "# What scopes cost\n\nWritten by `./run bench scopes`: medians of 15 rounds.\n\n"
        (HERE / "SCOPES.md").write_text(f"{head}{text}\n")
