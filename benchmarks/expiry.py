"""What ended rows cost those that live, and how fast they are removed: in EXPIRY.md.

    ./run bench expiry [BACKEND…]
    ./run bench expiry sqlite --rows 20000       a trial, which keeps nothing

Two stores of so many rows: in one of them every second row has ended. Targets, at a million rows:
a page of 20 takes at most 1.3 times as long as in the store where no row has ended; a sweep removes
at least 50,000 rows a second on SQL, in steps that take no longer than 50 ms.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import datetime, timedelta, timezone
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

from benchmarks.backends import BACKENDS
from benchmarks.lock_probe import probing
from benchmarks.scopes import DEFAULT_ROWS, SIZES, milliseconds, say
from benchmarks.sides import payload
from buddy.memory import MemoryRow, open_memory_db

HERE = Path(__file__).parent
ROWS_OF_A_USER = 1_000
BATCH = 5_000
MOST_RATIO, LEAST_RATE, LONGEST_STEP = 1.3, 50_000, 50
SQL = ("sqlite", "postgres")


def rows(count: int, *, half_ended: bool) -> Iterator[list[MemoryRow]]:
    """Yield the rows in batches, users taking turns. Every second row has ended, of each user and
    of all in their order."""
    users = max(count // ROWS_OF_A_USER, 10)
    ended = datetime.now(timezone.utc) - timedelta(hours=1)
    for start in range(0, count, BATCH):
        yield [
            MemoryRow(
                payload(n),
                f"id-{n}",
                f"user/{n % users:06}",
                expires_at=ended if half_ended and (n // users + n) % 2 else None,
            )
            for n in range(start, min(start + BATCH, count))
        ]


def cases(db: Any) -> dict[str, Callable[[], Any]]:
    """Return the reads that are measured, by name."""
    return {
        "newest 20 of a user": lambda: db.read_memories("user/000001", limit=20),
        "newest 20 of everybody": lambda: db.read_memories(limit=20),
        "newest 20 of a prefix": lambda: db.read_memories(user_prefix="user/00000", limit=20),
        "count of a user": lambda: db.count_memories("user/000001"),
    }


class Swept(NamedTuple):
    """How many rows a second a sweep removed, and how many ms its steps took."""

    rate: float
    steps: list[float]

    @property
    def high(self) -> float:
        """The 95th percentile of the steps."""
        return quantiles([*self.steps, *self.steps], n=20, method="inclusive")[-1]


def swept(db: Any) -> Swept:
    """Sweep, and measure it."""
    steps: list[float] = []
    begun = last = time.perf_counter()

    def progress(removed: int) -> None:
        nonlocal last
        now = time.perf_counter()
        steps.append((now - last) * 1e3)
        last = now

    total = db.sweep(progress)
    return Swept(total / (time.perf_counter() - begun), steps)


def measured(name: str, count: int) -> list[str]:
    """Fill two stores of one backend and measure them; return lines of the table."""
    backend = BACKENDS[name]
    found: list[dict[str, float]] = []
    with backend.start() as where:
        for half_ended in (False, True):
            store = f"expiry{int(half_ended)}"
            with open_memory_db(backend.url(where, store)) as db:
                db.create()
                for batch in rows(count, half_ended=half_ended):
                    db.restore_memories(batch)  # type: ignore[attr-defined]
                say(f"{name}: {count:,} rows stored")
                found.append({case: milliseconds(call) for case, call in cases(db).items()})
                if not half_ended:
                    continue
                files = [str(file) for file in db.data_files()[:1]]  # type: ignore[attr-defined]
                with probing(files[0]) if files else nullcontext(list[str]()) as locked:
                    sweep = swept(db)
    title = f"{backend.title}, {count:,} rows"
    lines = []
    for case, without in found[0].items():
        ratio = found[1][case] / without
        target = f"≤ {MOST_RATIO:g}×" if case.startswith("newest") else ""
        shown = f"{ratio:.2f}×"
        cell = f"**{shown}**" if target and ratio > MOST_RATIO else shown
        lines.append(f"| {title} | {case} | {without:.3g} ms | {found[1][case]:.3g} ms | {cell} |")
    is_sql = name in SQL
    slow = is_sql and (sweep.rate < LEAST_RATE or sweep.high > LONGEST_STEP)
    cell = f"{sweep.rate:,.0f} rows/s, steps of {median(sweep.steps):.0f} ms, {sweep.high:.0f} ms "
    cell += f"at the 95th percentile, {max(sweep.steps):.0f} ms at most"
    if locked:
        cell += f"; another process finds the file locked for {locked[0]}"
    lines.append(f"| {title} | sweep | | | {f'**{cell}**' if slow else cell} |")
    return lines


def main(given: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="./run bench expiry", description=__doc__)
    parser.add_argument("backend", nargs="*", choices=[*BACKENDS, []])
    parser.add_argument("--rows", type=int)
    arguments = parser.parse_args(given)
    lines = [
        "| store | | none has ended | half have ended | |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for name in arguments.backend or list(BACKENDS):
        lines += measured(name, arguments.rows or SIZES.get(name, DEFAULT_ROWS))
    text = "\n".join(lines)
    print(text)
    if not (arguments.rows or arguments.backend):
        head = "# What ended rows cost\n\nWritten by `./run bench expiry`: medians of 15 rounds. "
        head += "Targets: pages ≤ 1.3×; on SQL, a sweep of ≥ 50,000 rows/s in steps of ≤ 50 ms.\n\n"
        (HERE / "EXPIRY.md").write_text(f"{head}{text}\n")
