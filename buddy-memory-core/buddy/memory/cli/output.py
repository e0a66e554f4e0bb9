"""What the commands print: tables and lines for people, JSON for scripts."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from buddy.memory.cli.text import plain

if TYPE_CHECKING:
    from rich.console import Console

_PIPE_WIDTH = 1_000
_PROSE_WIDTH = 36


def console(*, stderr: bool = False) -> Console:
    """Return the console of standard output or error; NO_COLOR and COLUMNS are kept by it."""
    # Imported here: what prints JSON or nothing starts without rich.
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    # What goes into a pipe is for grep and awk: nothing is cut there.
    wide = None if stream.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH
    return Console(file=stream, highlight=False, markup=False, emoji=False, width=wide)


def emit(value: Any) -> None:
    """Print one JSON document, in ASCII, so that any text survives any pipe."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def say(text: str = "", style: str = "") -> None:
    """Print a line on standard output."""
    console().print(text, style=style or None, soft_wrap=True)


def tell(text: str, style: str = "", *, whole: bool = False) -> None:
    """Print a line on standard error, wrapped at words on a terminal; ``whole``: to be copied."""
    out = console(stderr=True)
    out.print(text, style=style or None, soft_wrap=whole or not out.is_terminal)


def table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Iterable[str] = ()
) -> None:
    """Print a table; nothing where there are no rows. The columns named in ``right`` hold numbers;
    the last one of the others takes what room there is, and wraps."""
    out = console()
    if not rows:
        return
    if not _is_narrow(out):
        _whole_table(columns, rows, {*right})
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    prose = [column for column in columns if column not in right][-1]
    for column in columns:
        grid.add_column(
            column,
            justify="right" if column in right else "left",
            overflow="fold" if column == columns[-1] else "ellipsis",
            no_wrap=column != prose,
        )
    for row in rows:
        grid.add_row(*[Text(cell) for cell in row])
    out.print(grid)


def _is_narrow(out: Console) -> bool:
    return out.width != _PIPE_WIDTH


def _whole_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str]
) -> None:
    """Print what a terminal would show, each row in one line and without spaces at its end."""
    widths = _widths(columns, rows)
    line = "─" if (sys.stdout.encoding or "").lower().startswith("utf") else "-"
    sys.stdout.write("\n")
    for number, row in enumerate([columns, *rows]):
        cells = [cell.replace("\n", " ") for cell in row]
        gaps = [" " * (width - cells_of(cell)) for cell, width in zip(cells, widths, strict=True)]
        padded = [
            gap + cell if column in right else cell + gap
            for column, cell, gap in zip(columns, cells, gaps, strict=True)
        ]
        sys.stdout.write(f" {'   '.join(padded).rstrip()}\n")
        if number == 0:
            sys.stdout.write(f" {line * (sum(widths) + 3 * (len(widths) - 1))}\n")
    sys.stdout.write("\n")


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    lines = zip(columns, *rows, strict=True)
    return [max(cells_of(cell.replace("\n", " ")) for cell in column) for column in lines]


def cells_of(text: str) -> int:
    """Return how many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def listing(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table whose last column is prose; each row in two lines where a table would leave
    too little room for it."""
    out = console()
    taken = sum(width + 3 for width in _widths(columns, rows)[:-1])
    if not rows or not _is_narrow(out) or out.width - taken >= _PROSE_WIDTH:
        table(columns, rows)
        return
    from rich.padding import Padding
    from rich.text import Text

    for *facts, prose in rows:
        out.print(Text("  ".join(facts), "bold"), soft_wrap=True)
        out.print(Padding(Text(prose), (0, 0, 0, 4)))
    out.print()


def facts(pairs: Iterable[tuple[str, str]]) -> None:
    """Print names and values, one pair a line."""
    out, pairs = console(), list(pairs)
    if not _is_narrow(out):
        width = max(len(name) for name, _ in pairs)
        sys.stdout.writelines(
            f"{name.ljust(width)}  {value}".rstrip() + "\n" for name, value in pairs
        )
        return
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        grid.add_row(Text(name, "bold"), Text(value))
    out.print(grid)


class Warnings(logging.Handler):
    """Shows what the library logs (rows that cannot be read) as lines on standard error."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        tell(f"warning: {plain(record.getMessage())}", "yellow")
