"""What the registry and the hooks cost: ``python benchmarks/bench_registry.py [PROCESSES]``.

The first lookup of a backend is measured in fresh processes, beside 400 distributions that have
nothing to do with it and after the import of the backend itself. Reads are measured as they are
and with the layer of hooks taken out, interleaved, and counted in bytecodes, which no other
process on the machine can disturb.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import thread_time
from types import FrameType
from typing import Any

from buddy.memory import plugins
from buddy.memory.hookspecs import hookimpl
from buddy.memory.v2.db.schema import MemoryRow
from buddy_memory_sqlite.v2 import SqliteMemoryDb

DISTRIBUTIONS, READS, ROUNDS = 400, 500, 41

FIRST = """
import sys, time
import buddy.memory, buddy_memory_sqlite.v2
from buddy.memory.registry import default
wall, cpu = time.perf_counter(), time.process_time()
default.lookup("sqlite")
print(time.perf_counter() - wall, time.process_time() - cpu)
"""


def lay_out(folder: Path) -> None:
    """Lay out distributions, of which every third has scripts."""
    for number in range(DISTRIBUTIONS):
        info = folder / f"bystander_{number}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: bystander-{number}\n")
        if number % 3 == 0:
            (info / "entry_points.txt").write_text("[console_scripts]\ncommand = module:main\n")


def first_lookups(processes: int) -> list[tuple[float, float]]:
    """Return seconds of wall and of processor for each process."""
    with tempfile.TemporaryDirectory() as folder:
        lay_out(Path(folder))
        environment = {**os.environ, "PYTHONPATH": folder}
        return [
            (float(wall), float(cpu))
            for _ in range(processes)
            for wall, cpu in [
                subprocess.check_output(
                    [sys.executable, "-c", FIRST], env=environment, text=True
                ).split()
            ]
        ]


class Observer:
    """A plugin that does nothing."""

    @hookimpl
    def buddy_memory_operation(self) -> None:
        """Do nothing."""


def databases(folder: str) -> dict[str, SqliteMemoryDb]:
    """Return one database as it is, one without the layer of hooks, and one with a plugin."""
    made = {"as it is": SqliteMemoryDb(db_file=f"{folder}/a.db")}
    wrap, plugins.wrap = plugins.wrap, lambda store, backend: store
    made["without hooks"] = SqliteMemoryDb(db_file=f"{folder}/a.db")
    plugins.wrap = wrap
    observer = Observer()
    plugins.register(observer)
    made["one observer"] = SqliteMemoryDb(db_file=f"{folder}/a.db")
    plugins.unregister(observer)
    for db in made.values():
        db.upsert_memory(MemoryRow({"likes": "tea"}, "a", "ann"))
    return made


def bytecodes(call: Callable[[], Any]) -> int:
    """Return how many bytecodes a call runs."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(None)
    return count


def seconds(db: SqliteMemoryDb) -> float:
    """Return the seconds of processor that one read takes, over many."""
    start = thread_time()  # of this thread alone: the machine is shared
    for _ in range(READS):
        db.read_memory("a")
    return (thread_time() - start) / READS


def main() -> None:
    """Print both."""
    walls, cpus = zip(*first_lookups(int(sys.argv[1]) if sys.argv[1:] else 15), strict=True)
    print(
        f"first lookup of sqlite beside {DISTRIBUTIONS} distributions, {len(walls)} processes: "
        f"median {median(walls) * 1e3:.2f} ms ({min(walls) * 1e3:.2f} to {max(walls) * 1e3:.2f}), "
        f"processor {median(cpus) * 1e3:.2f} ms"
    )
    with tempfile.TemporaryDirectory() as folder:
        made = databases(folder)
        base, rounds = "without hooks", []
        for number in range(ROUNDS):
            names = list(made)[:: 1 if number % 2 else -1]
            rounds.append({name: seconds(made[name]) for name in names})
        for name, db in made.items():
            ratio = median(times[name] / times[base] for times in rounds)
            best = min(times[name] for times in rounds) * 1e6
            count = bytecodes(lambda db=db: db.read_memory("a"))  # type: ignore[misc]
            print(
                f"read_memory, {name}: {count} bytecodes, fastest {best:.2f} µs, "
                f"median of {ROUNDS} ratios to {base} {ratio:.4f}"
            )
            db.close()


if __name__ == "__main__":
    main()
