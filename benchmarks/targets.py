"""What is aimed at, and how far it is reached: one line for each target of each backend."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

OURS = ("buddy-memory", "buddy-memory, async")
READS = ("exists", "read by id")
WRITES = ("upsert, new row", "upsert, update", "delete")
NEWEST = "newest 20 of a user"

FLAT = 1.3
"""How much longer a call may take in the largest store than in the smallest."""


class Line(NamedTuple):
    """A target, what was found for it, and whether that is within the target."""

    backend: str
    what: str
    target: str
    found: str
    met: bool


def lines(name: str, result: dict[str, Any]) -> Iterable[Line]:
    """Yield the targets of one backend."""
    title = result["title"]
    for side in OURS:
        mine = [line for line in result["operations"] if line["side"] == side and "us" in line]
        kind = ", async" if side.endswith(", async") else ""
        if name == "sqlite":
            yield _within(title, f"writes{kind}", _ratios(mine, WRITES), 1.5)
            yield _within(title, f"newest 20{kind}", _ratios(mine, [NEWEST]), 2)
            if not kind:
                yield _beyond(title, result["operations"], 30)
        else:
            single = [*READS, *WRITES, NEWEST]
            yield _within(title, f"single operations{kind}", _ratios(mine, single), 1.15)
        bulk = [line["operation"] for line in mine if line["operation"].startswith("bulk")]
        yield _within(title, f"bulk upsert{kind}", _ratios(mine, bulk), 1.2)
    yield from _growth(title, result["operations"])
    for line in result["load"]:
        if line["side"] == OURS[1] and "ratio" in line:
            yield _at_least(title, "64 tasks, of the limit's throughput", line["ratio"], 0.9)
    if result.get("upserts") and name != "sqlite":
        ratio = result["upserts"]["ratio"]
        yield _at_least(title, "upserts of 64 tasks, of those of 8 threads", ratio, 1)


def _ratios(mine: Sequence[dict[str, Any]], names: Sequence[str]) -> list[tuple[float, str]]:
    return [(line["ratio"], line["operation"]) for line in mine if line["operation"] in names]


def _within(title: str, what: str, ratios: list[tuple[float, str]], most: float) -> Line:
    least, worst = min(ratios)[0], max(ratios)
    found = f"{least:.2f} to {worst[0]:.2f}× ({worst[1].partition(' of ')[0]})"
    return Line(title, what, f"≤ {most:.2f}×", found, worst[0] <= most)


def _at_least(title: str, what: str, ratio: float, least: float) -> Line:
    return Line(title, what, f"≥ {least:.0%}", f"{ratio:.0%}", ratio >= least)


def _beyond(title: str, operations: Sequence[dict[str, Any]], most: float) -> Line:
    found = {(o["side"], o["operation"], o["rows"]): o["us"] for o in operations if "us" in o}
    beyond = [
        us - found["by hand", operation, rows]
        for (side, operation, rows), us in found.items()
        if side == OURS[0] and operation in READS
    ]
    text = f"{min(beyond):.0f} to {max(beyond):.0f} µs"
    return Line(
        title, "reads by id beyond the limit", f"≤ {most:.0f} µs", text, max(beyond) <= most
    )


def _growth(title: str, operations: Sequence[dict[str, Any]]) -> Iterable[Line]:
    """Yield how calls grow with the store where those by hand do not."""
    found = {(o["side"], o["operation"], o["rows"]): o["us"] for o in operations if "us" in o}
    sizes = sorted({rows for _, _, rows in found})
    if len(sizes) < 2:
        return
    grown = {
        (side, name): found[side, name, sizes[-1]] / found[side, name, sizes[0]]
        for side in (OURS[0], "by hand")
        for name in (*READS, *WRITES, NEWEST)
        if {(side, name, sizes[0]), (side, name, sizes[-1])} <= set(found)
    }
    flat = [name for side, name in grown if side == "by hand" and grown[side, name] <= FLAT]
    ours = [(grown[OURS[0], name], name) for name in flat if (OURS[0], name) in grown]
    if ours:
        what = f"growth from {sizes[0]:,} to {sizes[-1]:,} rows"
        yield _within(title, what, ours, FLAT)
