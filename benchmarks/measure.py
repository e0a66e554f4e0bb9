"""Shared by the benchmarks: interleaved rounds, medians, and a table of ratios."""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple


class Case(NamedTuple):
    """One operation, once through this project and once by hand; each call does it ``times``."""

    name: str
    rows: int
    ours: Callable[[], Any]
    limit: Callable[[], Any]
    times: int
    target: str = ""


class Result(NamedTuple):
    """Medians over the rounds, in microseconds per operation."""

    name: str
    rows: int
    ours: float
    limit: float
    ratio: float
    target: str


def measure(cases: Iterable[Case], rounds: int = 7) -> list[Result]:
    """Time both sides of every case in turn, ``rounds`` times after one that does not count.

    The ratio is the median of the ratios of the rounds, so that a machine that becomes slower
    half-way does not favour either side.
    """
    results = []
    for case in cases:
        pairs = []
        for round in range(rounds + 1):
            sides = [(_timed(case.ours), 0), (_timed(case.limit), 1)] if round % 2 else None
            if sides is None:
                sides = [(_timed(case.limit), 1), (_timed(case.ours), 0)]
            by_side = {side: seconds for seconds, side in sides}
            if round:
                pairs.append((by_side[0] / case.times * 1e6, by_side[1] / case.times * 1e6))
        ours, limit = (statistics.median(side) for side in zip(*pairs, strict=True))
        ratio = statistics.median(one / other for one, other in pairs)
        results.append(Result(case.name, case.rows, ours, limit, ratio, case.target))
        print(_line(results[-1]), flush=True)
    return results


def _timed(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


HEAD = (
    "| operation | rows | ours, µs | by hand, µs | ratio | difference, µs | target |\n"
    "|---|---:|---:|---:|---:|---:|---|"
)


def _line(result: Result) -> str:
    name, rows, ours, limit, ratio, target = result
    return (
        f"| {name} | {rows:,} | {ours:,.1f} | {limit:,.1f} | {ratio:.2f} | "
        f"{ours - limit:+,.1f} | {target} |"
    )


def table(results: Iterable[Result]) -> str:
    """Return the results as a Markdown table."""
    return "\n".join([HEAD, *map(_line, results)])


def machine(**versions: str) -> str:
    """Return one line that says what was measured on."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = f"{len(names)} × {names[0].split(':')[1].strip()}" if names else cpu
    parts = [cpu, platform.system(), f"Python {platform.python_version()}"]
    return ", ".join(parts + [f"{name} {version}" for name, version in versions.items()])


def save(path: Path, results: Iterable[Result], where: str) -> None:
    """Write the results as JSON."""
    data = {"machine": where, "results": [result._asdict() for result in results]}
    path.write_text(json.dumps(data, indent=1) + "\n")
