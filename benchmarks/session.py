"""One backend, measured from its start to the end, in a process of its own.

python -m benchmarks.session BACKEND RESULT-FILE [--sizes …] [--quick]
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import imports, load, measure, memory
from benchmarks.backends import BACKENDS, Backend
from benchmarks.operations import Operations
from benchmarks.sides import standing

LOAD_CALLS = 2000
LOAD_ROUNDS = 7
PATIENCE = 12 * 60
"""Seconds after which no further size is begun."""


class Session:
    """Measures one backend and keeps what came out in ``results``."""

    def __init__(self, name: str, backend: Backend, file: Path, quick: bool) -> None:
        self.name, self.backend, self.file, self.quick = name, backend, file, quick
        self.rounds = 3 if quick else measure.ROUNDS
        self.results: dict[str, Any] = {
            "title": backend.title,
            "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "rounds": self.rounds,
            "missing": dict(backend.missing),
            "failed": [],
            "operations": [],
            "load": [],
            "upserts": None,
            "memory": [],
            "growth": [],
        }

    def run(self, sizes: list[int]) -> None:
        """Measure at every size, the load and the memory at the last but one."""
        started = time.monotonic()
        busy = sizes[-2] if len(sizes) > 1 else sizes[-1]
        times = 3 if self.quick else imports.TIMES
        self.results["imports"] = imports.measure(self.import_url(), self.backend.drivers, times)
        for rows in sizes:
            if time.monotonic() - started > PATIENCE:
                self.results["failed"].append(f"{rows:,} rows: the sizes before took too long")
                continue
            say(f"{self.backend.title}, {rows:,} rows")
            try:
                with self.backend.start() as where:
                    self.results["versions"] = self.backend.versions(where)
                    self.at(where, rows, loaded=rows == busy)
            except Exception as error:
                traceback.print_exc()
                self.results["failed"].append(f"{rows:,} rows: {measure.reason(error)}")
            self.results["minutes"] = round((time.monotonic() - started) / 60, 1)
            if self.results["operations"]:
                self.save()

    def import_url(self) -> str:
        """Return a config string for opening a database, which does no I/O."""
        return self.backend.url(HOSTS[self.name], "memory")

    def save(self) -> None:
        """Write the results down; what fails later does not take them away."""
        text = json.dumps(self.results, indent=1, ensure_ascii=False)
        self.file.write_text(text + "\n")

    def at(self, where: str, rows: int, *, loaded: bool) -> None:
        """Measure on stores of so many rows."""
        makers = self.filled(where, rows)
        operations = Operations(rows, 1_000 if self.quick else self.backend.bulk)
        self.time(operations.opening(), [make() for make in makers], rows)
        sides = [make() for make in makers]
        for side in sides:
            measure.finish(side.open())
        gc.collect()
        gc.freeze()  # The collection before each timing need not look at all that is imported.
        listed = list(operations.listed())
        for operation in listed:
            self.time(operation, sides, rows)
        if loaded:
            say("64 at once")
            calls = 300 if self.quick else LOAD_CALLS
            number = min(self.rounds, LOAD_ROUNDS)
            self.results["load"] = load.measure(sides, rows, number, calls)
            ours = {side.asynchronous: side for side in sides if side.store == "ours"}
            self.results["upserts"] = load.tasks_and_threads(
                ours[False], ours[True], rows, number, calls
            )
            say("memory")
            blocking = [side for side in sides if not side.asynchronous]
            self.results["memory"] = memory.peaks(listed, blocking)
        if not self.quick or loaded:
            ours_and_limit = {
                side.name: f"{side.store}{rows}"
                for side in sides
                if side.store in ("ours", "limit") and not side.asynchronous
            }
            self.results["growth"] += memory.growth(self.name, where, ours_and_limit)
        self.time(operations.bulk_upsert(), sides, rows)
        for side in sides:
            # What is half-closed goes away with the process.
            with contextlib.suppress(Exception):
                measure.finish(side.close())

    def time(self, operation: measure.Operation, sides: list[Any], rows: int) -> None:
        results = measure.rounds(operation, sides, self.rounds)
        self.results["operations"] += [{**result, "rows": rows} for result in results]
        shown = "  ".join(f"{r['side']} {r['us']:,.0f}" for r in results if "us" in r)
        say(f"  {operation.name}, µs: {shown}")

    def filled(self, where: str, rows: int) -> list[Callable[[], Any]]:
        """Fill the stores, one for each kind of side; return what makes the sides that work."""
        able, stores = [], set()
        for cls in self.backend.sides(self.name):
            if cls.store not in ("ours", "limit") and rows > self.backend.others_up_to:
                continue
            make = partial(cls, where, f"{cls.store}{rows}")
            side = make()
            try:
                measure.finish(side.open())
                if cls.store not in stores:
                    measure.finish(side.create())
                    for batch in standing(rows):
                        measure.finish(side.put_many(batch))
                    stores.add(cls.store)
                measure.finish(side.close())
                able.append(make)
            except Exception as error:
                traceback.print_exc()
                self.results["missing"][cls.name] = measure.reason(error)
        return able


HOSTS = {
    "sqlite": ".",
    "postgres": "postgresql://host/db",
    "redis": "redis://host/0",
    "mongo": "mongodb://host/?appname=bench",
    "firestore": "host",
}


def say(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("backend", choices=BACKENDS)
    parser.add_argument("file", type=Path)
    parser.add_argument("--sizes")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)  # The other libraries log what they raise.
    backend = BACKENDS[arguments.backend]
    session = Session(arguments.backend, backend, arguments.file, arguments.quick)
    sizes = list(backend.sizes[:1] if arguments.quick else backend.sizes)
    if arguments.sizes:
        sizes = [int(size) for size in arguments.sizes.split(",")]
    session.run(sizes)
    sys.stdout.flush()
    os._exit(0)  # Other libraries leave threads and tasks behind that would be waited for.


if __name__ == "__main__":
    main()
