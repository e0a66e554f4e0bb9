"""Rows on the terminal and as JSON, and notes on a store that shows none."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import chain, count, islice
from typing import TYPE_CHECKING, Any

from buddy.memory.cli.formatting import iso, one_line, plain, shown_user, time
from buddy.memory.cli.output import emit_each, listing, tell
from buddy.memory.storage.database_base import StoreBackedDatabase
from buddy.memory.storage.record import Record

if TYPE_CHECKING:
    from buddy.memory.v2.db.base import MemoryDb

IN_MEMORY = "this store is in memory, and gone when the command ends"


FEW = 100
"""Rows that are looked at before the first is printed: whether any has an end to be shown."""


def show_rows(rows: Iterable[Record], as_json: bool) -> int:
    """Print the rows as they come; return how many there were."""
    number = count()  # Moves on with each row that is taken.
    rows = (row for row, _ in zip(rows, number, strict=False))
    if as_json:
        emit_each(map(as_dict, rows))
    else:
        first = [*islice(rows, FEW)]
        ends = ("Ends",) if any(row.expires_at for row in first) else ()
        cells = (_cells(row, with_end=bool(ends)) for row in chain(first, rows))
        listing(("Id", "User", "Updated", *ends, "Text"), cells)
    return next(number)


def _cells(row: Record, *, with_end: bool) -> tuple[str, ...]:
    text = one_line(text_of(row))
    ends = (time(row.expires_at) if row.expires_at else "",) if with_end else ()
    return plain(row.id), shown_user(row.user_id), time(row.updated_at), *ends, text


def text_of(row: Record) -> str:
    """Return the text of a row; its JSON when it has none."""
    text = row.payload.get(row.kind.value)
    return text if isinstance(text, str) else json.dumps(row.payload, ensure_ascii=False)


def as_dict(row: Record) -> dict[str, Any]:
    """Return a row for scripts."""
    return {
        "kind": row.kind.value,
        "user_id": row.user_id,
        "id": row.id,
        "payload": row.payload,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
        "version": row.version,
        "expires_at": iso(row.expires_at),
    }


def is_in_memory(db: MemoryDb) -> bool:
    """Tell whether the rows of a database that was opened by its URL live in this process only."""
    return isinstance(db, StoreBackedDatabase) and db.in_memory


def note_of(db: MemoryDb) -> str:
    """Return why there is nothing, where that may be a mistake; "" where it is just empty."""
    from buddy.memory.transfer import SourceError
    from buddy.memory.transfer.legacy_source import check_exists

    if is_in_memory(db):
        return IN_MEMORY
    try:
        check_exists(db)
    except SourceError as error:
        return str(error)
    return ""


def show_note(note: str) -> None:
    """Print what ``note_of`` returned, on standard error."""
    if note:
        tell(f"note: {note}", "yellow")
