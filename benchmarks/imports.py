"""Import times, each in fresh processes: medians in milliseconds."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from statistics import median
from typing import Any

TIMES = 11
PROGRAM = """
import gc, sys, time
from importlib import import_module
start = time.perf_counter()
import buddy.memory
core = time.perf_counter()
for driver in sys.argv[2:]:
    import_module(driver)
driver = time.perf_counter()
gc.collect()  # Else the opening would collect what the driver made, 20 ms of Firestore's.
ready = time.perf_counter()
buddy.memory.open_memory_db(sys.argv[1])
opened = time.perf_counter()
print((core - start) * 1e3, (driver - core) * 1e3, (opened - ready) * 1e3)
"""


def measure(url: str, drivers: Sequence[str], times: int = TIMES) -> dict[str, Any]:
    """Return what ``import buddy.memory``, the driver, and then opening ``url`` take."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        command = [sys.executable, "-c", PROGRAM, url, *drivers]
        found = []
        for _ in range(times + 1):  # The first one compiles.
            done = subprocess.run(
                command, capture_output=True, text=True, check=True, env=environment
            )
            found.append([float(number) for number in done.stdout.split()])
    core, driver, opened = (median(column) for column in zip(*found[1:], strict=True))
    return {"core_ms": core, "driver_ms": driver, "opening_ms": opened}
