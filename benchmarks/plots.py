"""From results.json to two figures: ratios to the limit, and growth with the number of rows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter, NullFormatter

MARKS = {
    "buddy-memory": ("o", "#1f6fb4", True),
    "buddy-memory, async": ("o", "#1f6fb4", False),
    "agno": ("s", "#d1742f", True),
    "agno, async": ("s", "#d1742f", False),
    "langgraph": ("^", "#4d9a4d", True),
    "langgraph, async": ("^", "#4d9a4d", False),
}
"""Marker, colour, and whether it is filled; asynchronous sides are hollow."""

LINES = {
    "buddy-memory": "-",
    "by hand": "--",
    "agno": ":",
    "langgraph": "-.",
}
COLOURS = {"by hand": "#555555", **{side: mark[1] for side, mark in MARKS.items()}}
SHORT = {"page through 1,000 rows of a user": "page 1,000 rows", "newest 20 of a user": "newest 20"}
GROWING = ("upsert, new row", "upsert, update", "read by id", "newest 20 of a user")


def draw(folder: Path, results: dict[str, Any]) -> None:
    """Write both figures, as SVG."""
    if not results:
        return
    _style()
    _write(folder, {"ratios": ratios(results), "growth": growth(results)})


def draw_search(folder: Path, found: dict[str, Any]) -> None:
    """Write the figure of searches: recall by method, and milliseconds by rows."""
    _style()
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.4))
    methods = list(found["recall"])
    for cut, colour in (("@20", "#cfe1f2"), ("@10", "#6aa8d8"), ("@5", "#1f6fb4")):
        values = [found["recall"][method][cut] for method in methods]
        left.barh(methods, values, color=colour, label=f"first {cut[1:]}")
    left.invert_yaxis()
    left.set_xlim(0, 1)
    left.set_title("share of the evidence that is found", loc="left", fontweight="bold")
    left.legend(frameon=False, fontsize=8, loc="lower right")
    for name, sizes in found["times"].items():
        rows = [int(size) for size in sizes]
        right.plot(rows, [times["p50"] for times in sizes.values()], marker="o", label=name)
    right.set_xscale("log")
    right.set_yscale("log")
    right.set_xlabel("rows of the user")
    right.set_title("milliseconds of a keyword search, p50", loc="left", fontweight="bold")
    right.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    _write(folder, {"search": figure})


def _style() -> None:
    mpl.rcParams.update(
        {
            "svg.hashsalt": "buddy-memory",
            "svg.fonttype": "none",
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    )


def _write(folder: Path, figures: dict[str, Any]) -> None:
    folder.mkdir(exist_ok=True)
    for name, figure in figures.items():
        if figure is not None:
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None}, bbox_inches="tight")
            plt.close(figure)


def short(operation: str) -> str:
    return "bulk upsert" if operation.startswith("bulk") else SHORT.get(operation, operation)


def most_compared(result: dict[str, Any]) -> int:
    """Return the largest size at which the most sides were measured."""
    sides = [(line["rows"], line["side"]) for line in result["operations"] if "us" in line]
    return max({rows for rows, _ in sides}, key=lambda n: (len({s for r, s in sides if r == n}), n))


def ratios(results: dict[str, Any]) -> Any:
    """One panel for each backend: how many times as long as by hand, for each operation."""
    columns = min(2, len(results))
    lines_of_panels = -(-len(results) // columns)
    size = (5.5 * columns, 3.1 * lines_of_panels)
    figure, grid = plt.subplots(lines_of_panels, columns, figsize=size, sharex=True, squeeze=False)
    panels = list(grid.flat)
    for panel in panels[len(results) :]:
        panel.set_visible(False)
    for panel, result in zip(panels, results.values(), strict=False):
        _show_ratios(panel, result)
    _legend(figure, panels, handletextpad=0.1, columnspacing=1)
    figure.supxlabel("time of one call, as a multiple of code written by hand", fontsize=9)
    figure.tight_layout()
    return figure


def _show_ratios(panel: Any, result: dict[str, Any]) -> None:
    rows = most_compared(result)
    lines = [line for line in result["operations"] if line["rows"] == rows]
    names = list(dict.fromkeys(line["operation"] for line in lines))
    panel.axvline(1, color="#555555", linewidth=1)
    for name in range(len(names)):
        panel.axhline(name, color="#eeeeee", linewidth=0.8, zorder=0)
    for side, (marker, colour, filled) in MARKS.items():
        points = [
            (line["ratio"], names.index(line["operation"]))
            for line in lines
            if line["side"] == side and line.get("ratio")
        ]
        if points:
            face = colour if filled else "white"
            style = {"facecolor": face, "edgecolor": colour, "label": side, "zorder": 3}
            panel.scatter(*zip(*points, strict=True), s=34, marker=marker, **style)
    panel.set_yticks(range(len(names)), [short(name) for name in names])
    panel.invert_yaxis()
    panel.set_xscale("log")
    panel.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}×"))
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.tick_params(labelbottom=True, length=0)
    panel.set_title(f"{result['title']}, {rows:,} rows", loc="left", fontweight="bold")


def growth(results: dict[str, Any]) -> Any:
    """One row of panels for each backend with several sizes: milliseconds over rows."""
    shown = [r for r in results.values() if len({line["rows"] for line in r["operations"]}) > 1]
    if not shown:
        return None
    size = (11, 2.3 * len(shown))
    figure, panels = plt.subplots(len(shown), len(GROWING), figsize=size, squeeze=False)
    for panel, operation in zip(panels[0], GROWING, strict=True):
        panel.set_title(short(operation), fontsize=9)
    for row, result in zip(panels, shown, strict=True):
        for panel, operation in zip(row, GROWING, strict=True):
            _show_growth(panel, result, operation)
        row[0].set_ylabel(f"{result['title']}, ms", fontweight="bold")
    figure.supxlabel("rows in the store", fontsize=9)
    _legend(figure, panels.flat)
    figure.tight_layout()
    return figure


def _show_growth(panel: Any, result: dict[str, Any], operation: str) -> None:
    for side, style in LINES.items():
        points = sorted(
            (line["rows"], line["us"] / 1e3)
            for line in result["operations"]
            if line["side"] == side and line["operation"] == operation and "us" in line
        )
        if points:
            look = {"color": COLOURS[side], "marker": ".", "label": side}
            panel.plot(*zip(*points, strict=True), style, **look)
    panel.set_xscale("log")
    panel.set_yscale("log")
    low, high = panel.get_ylim()
    panel.set_ylim(low / 2, high * 2)  # Not to make a mountain of ten per cent.
    panel.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    panel.yaxis.set_minor_formatter(NullFormatter())
    panel.grid(visible=True, color="#eeeeee")


def _legend(figure: Any, panels: Iterable[Any], **options: Any) -> None:
    """Put one legend for all panels above them."""
    handles = {
        label: handle
        for panel in panels
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    shown = [side for side in dict.fromkeys([*MARKS, *COLOURS]) if side in handles]
    figure.legend(
        [handles[side] for side in shown],
        shown,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=len(shown),
        frameon=False,
        **options,
    )
