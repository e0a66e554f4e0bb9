"""Memory: what one call allocates at its peak, and how a process grows by going through all rows.

Run as a program, this file is that process: BACKEND SIDE WHERE NAME.
"""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import Operation, finish


def peaks(operations: Sequence[Operation], sides: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the KiB that Python allocates for one call of each operation, at its peak."""
    results = []
    for operation in operations:
        for side in sides:
            if getattr(side, operation.needs) is None:
                continue
            warm, given = operation.prepare(side, 3), operation.prepare(side, 1)[0]
            try:
                for item in warm:
                    finish(operation.call(side, item))
                tracemalloc.start()
                finish(operation.call(side, given))
                peak = tracemalloc.get_traced_memory()[1] / 1024
            except Exception:  # Said already where it is timed.
                continue
            finally:
                tracemalloc.stop()
            results.append({"operation": operation.name, "side": side.name, "kib": peak})
    return results


def growth(backend: str, where: str, names: dict[str, str]) -> list[dict[str, Any]]:
    """Return how many MiB the peak of a process grows by going through all rows of a store."""
    results = []
    for side, name in names.items():
        command = [sys.executable, "-m", "benchmarks.memory", backend, side, where, name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            why = done.stderr.strip().rpartition("\n")[2][:100]
            results.append({"operation": "going through all rows", "side": side, "missing": why})
            continue
        rows, opened, grown = done.stdout.split()
        results.append(
            {"side": side, "rows": int(rows), "opened_mib": float(opened), "mib": float(grown)}
        )
    return results


def _peak() -> float:
    # Not ru_maxrss, which a process inherits from the one that started it.
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    from benchmarks.backends import BACKENDS

    backend, name, where, table = sys.argv[1:]
    cls = next(side for side in BACKENDS[backend].own(backend) if side.name == name)
    side = cls(where, table)
    finish(side.open())
    finish(side.newest("one", 20))
    opened = _peak()
    rows = finish(side.page(None))
    print(rows, opened, _peak() - opened)
    finish(side.close())


if __name__ == "__main__":
    main()
