"""Tables for pipes: what grep and awk read, and as long as it may be."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from itertools import chain, islice

PAGE = 1_000
"""Rows that are looked at to see how wide the columns are."""


def print_wide(
    columns: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[str] = ()
) -> None:
    """Print a table as its rows come, each in one line and without spaces at its end; nothing where
    there are no rows. What comes after the first ``PAGE`` rows and is wider than they stands out.
    """
    coming = iter(rows)
    page = list(islice(coming, PAGE))
    if not page:
        return
    widths = widths_of(columns, page)
    line = "─" if (sys.stdout.encoding or "").lower().startswith("utf") else "-"
    _print_row(columns, columns, widths, right, begin="\n")
    sys.stdout.write(f" {line * (sum(widths) + 3 * (len(widths) - 1))}\n")
    for row in chain(page, coming):
        _print_row(row, columns, widths, right)
    sys.stdout.write("\n")


def _print_row(
    row: Sequence[str],
    columns: Sequence[str],
    widths: Sequence[int],
    right: Collection[str],
    begin: str = "",
) -> None:
    cells: list[str] = []
    for name, text, width in zip(columns, map(_in_line, row), widths, strict=True):
        gap = " " * (width - cells_of(text))
        cells.append(gap + text if name in right else text + gap)
    sys.stdout.write(f"{begin} {'   '.join(cells).rstrip()}\n")


def _in_line(text: str) -> str:
    return text.replace("\n", " ")


def widths_of(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Return how wide the columns are, their names included."""
    lines = zip(columns, *rows, strict=True)
    return [max(cells_of(_in_line(cell)) for cell in column) for column in lines]


def cells_of(text: str) -> int:
    """Return how many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)
