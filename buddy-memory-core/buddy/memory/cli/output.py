"""What the commands print: tables and lines for people, JSON for scripts."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterable, Sequence
from itertools import islice
from textwrap import indent
from typing import TYPE_CHECKING, Any

from buddy.memory.cli.formatting import plain
from buddy.memory.cli.wide import PAGE, print_wide, widths_of

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


def open_closed_streams() -> None:
    """Give standard streams that were closed by the caller a place to go, so that no command fails
    for having nobody to tell."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115, PTH123


def emit(value: Any) -> None:
    """Print one JSON document, in ASCII, so that any text survives any pipe."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def emit_error(kind: str, text: str, exit_code: int) -> None:
    """Print an error as one line of JSON, on standard error."""
    facts = {"error": kind, "message": text, "exit_code": exit_code}
    sys.stderr.write(json.dumps(facts) + "\n")


def emit_each(values: Iterable[Any]) -> None:
    """Print what ``emit`` prints for a list, as its values come."""
    number = 0
    for number, value in enumerate(values, 1):
        begin = "[" if number == 1 else ","
        sys.stdout.write(f"{begin}\n{indent(json.dumps(value, indent=2), '  ')}")
    sys.stdout.write("\n]\n" if number else "[]\n")


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
        print_wide(columns, rows, {*right})
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


def listing(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table whose last column is prose, as its rows come; each row in two lines where a
    table would leave too little room for it."""
    out = console()
    if not _is_narrow(out):
        print_wide(columns, rows)
        return
    coming = iter(rows)
    while page := list(islice(coming, PAGE)):
        taken = sum(width + 3 for width in widths_of(columns, page)[:-1])
        if out.width - taken >= _PROSE_WIDTH:
            table(columns, page)
        else:
            _in_two_lines(out, page)


def _in_two_lines(out: Console, rows: Sequence[Sequence[str]]) -> None:
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
