"""How long a SQLite file is locked for other processes.

    python -m benchmarks.lock_probe FILE

Tries to begin a write every two ms, until standard input ends. Prints, in ms, the 95th percentile
and the longest of the spells in which it could not. Two steps of a sweep without a pause between
them are one spell.
"""

from __future__ import annotations

import select
import sqlite3
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from statistics import quantiles

PAUSE = 0.002


def spells(file: str) -> list[float]:
    """Return how many ms each spell took."""
    found: list[float] = []
    locked_since: float | None = None
    connection = sqlite3.connect(file, timeout=0, isolation_level=None)
    while not select.select([sys.stdin], [], [], PAUSE)[0]:
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            locked_since = locked_since or time.perf_counter()
            continue
        if locked_since is not None:
            found.append((time.perf_counter() - locked_since) * 1e3)
            locked_since = None
    return found


@contextmanager
def probing(file: str) -> Generator[list[str]]:
    """Probe a file meanwhile; the list then holds what was found, in words."""
    found: list[str] = []
    command = [sys.executable, "-m", "benchmarks.lock_probe", file]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as process:
        yield found
        found.append(process.communicate()[0].strip())


if __name__ == "__main__":
    took = spells(sys.argv[1])
    high = quantiles([0.0, 0.0, *took], n=20, method="inclusive")[-1]
    print(f"{high:.0f} ms at the 95th percentile, {max(took, default=0):.0f} ms at most")
