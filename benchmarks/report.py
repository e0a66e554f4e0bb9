"""From results.json to the tables of RESULTS.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import targets

SIDES = ("buddy-memory", "by hand", "agno", "langgraph")
TARGETS = "Targets: `import buddy.memory` ≤ 40 ms; opening ≤ 10 ms beyond the import of the driver."
HEAD = """\
# What it costs: the tables

Written by `./run bench`; [README](README.md) says how to read them, and where the time goes.

Each time is the median of the rounds, for one call; × is the median of the rounds' ratios to driver
code written by hand that does the same work. Below 1, this project is faster.

![Ratios to the limit](plots/ratios.svg)
![Growth with the number of rows](plots/growth.svg)

<!-- --8<-- [start:tables] -->"""


def write(file: Path, results: dict[str, Any]) -> None:
    """Write the page."""
    parts = [HEAD, "### Targets\n", reached(results), ""]
    parts += ["### Imports\n", imports(results), "", TARGETS]
    for result in results.values():
        parts += ["", *section(result)]
    parts.append("<!-- --8<-- [end:tables] -->")
    file.write_text("\n".join(parts) + "\n")


def section(result: dict[str, Any]) -> Iterable[str]:
    """Yield the lines about one backend."""
    machine = result["machine"]
    versions = ", ".join(
        text if name == "server" else f"{name} {text}" for name, text in result["versions"].items()
    )
    yield f"### {result['title']}\n"
    yield (
        f"{versions}; Python {machine['python']}, {machine['system']}, {machine['cpu']}; "
        f"{result['when']}, {result['rounds']} rounds, {result['minutes']} minutes; "
        f"load of the machine before: {machine['load_before']}."
    )
    for rows in sorted({line["rows"] for line in result["operations"]}):
        yield f"\n**{rows:,} rows**\n"
        yield operations([line for line in result["operations"] if line["rows"] == rows])
    if result["load"]:
        yield f"\n**64 at once, {result['load'][0]['rows']:,} rows**: 64 threads, or 64 tasks\n"
        yield load(result["load"])
    if result.get("upserts"):
        yield "\n" + upserts(result["upserts"])
    if result["memory"]:
        yield "\n**Memory**: the most that Python allocates during one call, KiB\n"
        yield memory(result["memory"])
    grown = [line for line in result["growth"] if "mib" in line]
    if grown:
        yield "\n**Memory of going through all rows**: what a process holds at its peak, MiB\n"
        yield growth(grown)
    left_out = [f"- {side}: {why}" for side, why in absent(result).items()]
    if left_out:
        yield "\n**Not compared**\n"
        yield "\n".join(left_out)


def operations(lines: Sequence[dict[str, Any]]) -> str:
    """Return the table of one size: a row for each operation, a column for each side."""
    found = {(line["operation"], line["side"]): line for line in lines}
    shown = [name for side in SIDES for name in (side, f"{side}, async")]
    shown = [side for side in shown if any("us" in found.get((o, side), {}) for o, _ in found)]

    def cell(operation: str, side: str) -> str:
        line = found.get((operation, side), {})
        if "us" not in line:
            return "–"
        ratio = line["ratio"]
        by_hand = side.startswith("by hand")
        return duration(line["us"]) + (f" **×{ratio:.2f}**" if ratio and not by_hand else "")

    names = list(dict.fromkeys(operation for operation, _ in found))
    return table(["operation", *shown], [[n, *(cell(n, side) for side in shown)] for n in names])


def load(lines: Sequence[dict[str, Any]]) -> str:
    """Return the table of the concurrent load."""
    head = ["side", "calls per second", "of the limit", "p50", "p99"]
    rows = [
        [
            line["side"],
            f"{line['per_second']:,.0f}",
            f"{line['ratio']:.0%}" if "ratio" in line else "",
            duration(line["p50_ms"] * 1e3),
            duration(line["p99_ms"] * 1e3),
        ]
        for line in lines
        if "per_second" in line
    ]
    return table(head, rows)


def upserts(found: dict[str, float]) -> str:
    """Return a sentence on what tasks of one event loop reach."""
    return (
        f"Upserts alone: {found['tasks']:,.0f} per second by 64 tasks, {found['threads']:,.0f} by "
        f"8 threads; {found['ratio']:.0%}, the median of the rounds."
    )


def memory(lines: Sequence[dict[str, Any]]) -> str:
    """Return the table of allocations."""
    found = {(line["operation"], line["side"]): f"{line['kib']:,.0f}" for line in lines}
    sides = [side for side in SIDES if any(name == side for _, name in found)]
    names = dict.fromkeys(operation for operation, _ in found)
    return table(
        ["operation", *sides], [[n, *(found.get((n, side), "–") for side in sides)] for n in names]
    )


def growth(lines: Sequence[dict[str, Any]]) -> str:
    """Return the table of what iterating adds to a process."""
    head = ["side", "rows", "imported, opened, one read", "beyond that, after all rows"]
    return table(
        head,
        [
            [line["side"], f"{line['rows']:,}", f"{line['opened_mib']:.1f}", f"{line['mib']:+.1f}"]
            for line in lines
        ],
    )


def reached(results: dict[str, Any]) -> str:
    """Return the table of targets; in bold what misses one."""
    head = ["backend", "what", "target", "found: least to most (where)"]
    lines = [line for name, result in results.items() for line in targets.lines(name, result)]
    rows = [[t, what, aim, found if met else f"**{found}**"] for t, what, aim, found, met in lines]
    return table(head, rows)


def imports(results: dict[str, Any]) -> str:
    """Return the table of import times."""
    head = ["backend", "`import buddy.memory`", "its driver", "opening by URL beyond both"]
    keys = ("core_ms", "driver_ms", "opening_ms")
    measured = [result for result in results.values() if "imports" in result]
    rows = [[r["title"], *(f"{r['imports'][key]:.1f} ms" for key in keys)] for r in measured]
    return table(head, rows)


def absent(result: dict[str, Any]) -> dict[str, str]:
    """Return who is not in the tables, or not in all of them, and why."""
    found = dict(result["missing"])
    for line in [*result["operations"], *result["load"], *result["growth"]]:
        if "missing" in line:
            what = f"{line['side']}: {line.get('operation', '64 at once')}"
            found.setdefault(what, line["missing"])
    found |= {f"failed, {where}": why for where, _, why in map(_split, result["failed"])}
    return found


def _split(failure: str) -> tuple[str, str, str]:
    return failure.partition(": ")


def duration(us: float) -> str:
    """Return a time in the unit that suits it."""
    for limit, unit, divisor in ((1e3, "µs", 1), (1e6, "ms", 1e3)):
        if us < limit:
            return f"{_three(us / divisor)} {unit}"
    return f"{_three(us / 1e6)} s"


def _three(number: float) -> str:
    digits: Callable[[float], int] = lambda n: 2 if n < 10 else 1 if n < 100 else 0  # noqa: E731
    return f"{number:.{digits(number)}f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, numbers to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
