"""What the commands print: tables and lines for people, JSON for scripts."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterable, Sequence
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


def tell(text: str, style: str = "") -> None:
    """Print a line on standard error."""
    console(stderr=True).print(text, style=style or None, soft_wrap=True)


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[str] = ()
) -> None:
    """Print a table. The last column takes what room there is, and wraps; the columns named in
    ``right`` hold numbers."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        last = column == columns[-1]
        grid.add_column(
            column,
            justify="right" if column in right else "left",
            overflow="fold" if last else "ellipsis",
            no_wrap=not last,
        )
    for row in rows:
        grid.add_row(*[Text(cell) for cell in row])
    console().print(grid)


def listing(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table whose last column is prose; each row in two lines where a table would leave
    too little room for it."""
    from rich.padding import Padding
    from rich.text import Text

    out = console()
    taken = sum(max([0, *map(len, column)]) + 3 for column in list(zip(*rows, strict=True))[:-1])
    if out.width - taken >= _PROSE_WIDTH:
        table(columns, rows)
        return
    for *facts, prose in rows:
        out.print(Text("  ".join(facts), "bold"), soft_wrap=True)
        out.print(Padding(Text(prose), (0, 0, 0, 4)))


def facts(pairs: Iterable[tuple[str, str]]) -> None:
    """Print names and values, one pair a line."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        grid.add_row(Text(name, "bold"), Text(value))
    console().print(grid)


class Warnings(logging.Handler):
    """Shows what the library logs (rows that cannot be read) as lines on standard error."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        tell(f"warning: {plain(record.getMessage())}", "yellow")
