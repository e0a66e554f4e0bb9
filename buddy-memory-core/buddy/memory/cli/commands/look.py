"""``users``, ``ls``, ``show`` and ``search``: for people who want to look."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from itertools import count, islice
from typing import TYPE_CHECKING, Any

import click

from buddy.memory.cli import exits
from buddy.memory.cli.output import emit, emit_each, facts, listing, say, table, tell
from buddy.memory.cli.parameters import (
    json_option,
    opened,
    summaries_option,
    url_argument,
    user_option,
)
from buddy.memory.cli.text import iso, many, one_line, owner, plain, time
from buddy.memory.storage.contract import PAGE_SIZE
from buddy.memory.storage.record import Kind, Record

if TYPE_CHECKING:
    from buddy.memory.v2.db.base import MemoryDb
    from buddy.memory.v2.schema import UserMemory

limit_option = click.option(
    "--limit", "-n", type=click.IntRange(min=0), default=20, show_default=True, metavar="N"
)


@click.command("users")
@url_argument
@json_option
def users_command(url: str, as_json: bool) -> None:
    """List users with what they own. Reads every row."""
    from buddy.memory.transfer.rows import records

    owned = {kind: Counter[str | None]() for kind in Kind}
    with opened(url) as db:
        for row in records(db):
            owned[row.kind][row.user_id] += 1
        note = "" if as_json or any(owned.values()) else note_of(db)
    memories, summaries = owned[Kind.MEMORY], owned[Kind.SUMMARY]
    users = sorted({*memories, *summaries}, key=lambda id: (id is None, id or ""))
    if as_json:
        emit([{"user_id": u, "memories": memories[u], "summaries": summaries[u]} for u in users])
        return
    table(
        ("User", "Memories", "Summaries"),
        [(owner(u), f"{memories[u]:,}", f"{summaries[u]:,}") for u in users],
        right=("Memories", "Summaries"),
    )
    say(many(len(users), "user"), "dim")
    show_note(note)


@click.command("ls")
@url_argument
@user_option
@limit_option
@click.option("--all", "everything", is_flag=True, help="All rows, whatever --limit says.")
@click.option("--oldest", is_flag=True, help="Oldest first instead of newest first.")
@summaries_option
@json_option
def ls_command(
    url: str,
    user: str | None,
    limit: int,
    everything: bool,
    oldest: bool,
    summaries: bool,
    as_json: bool,
) -> None:
    """List memories, newest first."""
    from buddy.memory.transfer.rows import record

    with opened(url) as db:
        total = db.count_summaries(user) if summaries else db.count_memories(user)
        note = "" if as_json or total else note_of(db)
        iterate: Any = db.iter_summaries if summaries else db.iter_memories
        page = min(PAGE_SIZE, limit or 1)
        rows = iterate(user, "asc" if oldest else "desc", PAGE_SIZE if everything else page)
        shown = _show_rows(map(record, islice(rows, None if everything else limit)), as_json)
    if not as_json:
        noun = ("summary", "summaries") if summaries else ("memory", "memories")
        say(f"{shown:,} of {many(total, *noun)}", "dim")
        show_note(note)


@click.command("show")
@url_argument
@click.argument("id")
@user_option
@click.option("--summary", is_flag=True, help="ID is a session: show its summary.")
@json_option
@click.pass_context
def show_command(
    ctx: click.Context, url: str, id: str, user: str | None, summary: bool, as_json: bool
) -> None:
    """Show one memory in full."""
    from buddy.memory.transfer.rows import record

    with opened(url) as db:
        read: Any = db.read_summary if summary else db.read_memory
        found = read(id, user_id=user)
    if found is None:
        tell(f"There is no {'summary' if summary else 'memory'} {plain(id)!r}.")
        ctx.exit(exits.NO)
    row = record(found)
    if as_json:
        emit(as_dict(row))
        return
    facts(_details(row))
    say()
    # No stored text reaches the terminal as a control sequence; as escapes it is still JSON.
    for line in json.dumps(row.payload, ensure_ascii=False, indent=2).split("\n"):
        say(plain(line))


def _details(row: Record) -> list[tuple[str, str]]:
    return [
        (row.kind.value, plain(row.id)),
        ("user", owner(row.user_id)),
        ("created", iso(row.created_at) or "-"),
        ("updated", iso(row.updated_at) or "-"),
        ("version", str(row.version)),
    ]


@click.command("search")
@url_argument
@click.argument("words", nargs=-1, required=True)
@user_option
@limit_option
@json_option
@click.pass_context
def search_command(
    ctx: click.Context,
    url: str,
    words: tuple[str, ...],
    user: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Find memories by words, as an agent's keyword search does. Reads every memory.

    Memories that hold more of the words come first. Exit code 1 when there are none.
    """
    from buddy.memory.conversation.search import best_matches
    from buddy.memory.storage.run import run
    from buddy.memory.transfer.rows import record

    with opened(url) as db:
        found = run(best_matches(" ".join(words), _memories(db.iter_memories(user)), limit))
        note = "" if as_json or found else note_of(db)
        rows = (db.read_memory(memory.memory_id or "") for memory in found)
        _show_rows((record(row) for row in rows if row is not None), as_json)
    if not as_json:
        say(many(len(found), "match", "matches"), "dim")
        show_note(note)
    ctx.exit(exits.OK if found else exits.NO)


def note_of(db: MemoryDb) -> str:
    """Return why there is nothing, where that may be a mistake; "" where it is just empty."""
    from buddy.memory.transfer import SourceError
    from buddy.memory.transfer.older import check_exists

    try:
        check_exists(db)
    except SourceError as error:
        return str(error)
    return ""


def show_note(note: str) -> None:
    """Print what ``note_of`` returned, on standard error."""
    if note:
        tell(f"note: {note}", "yellow")


async def _memories(rows: Iterable[Any]) -> AsyncIterator[UserMemory]:
    from buddy.memory.v2.schema import UserMemory

    for row in rows:
        yield UserMemory.from_row(row)


def _show_rows(rows: Iterable[Record], as_json: bool) -> int:
    """Print the rows as they come; return how many there were."""
    number = count()  # Moves on with each row that is taken.
    rows = (row for row, _ in zip(rows, number, strict=False))
    if as_json:
        emit_each(map(as_dict, rows))
    else:
        listing(("Id", "User", "Updated", "Text"), map(_cells, rows))
    return next(number)


def _cells(row: Record) -> tuple[str, ...]:
    text = one_line(text_of(row))
    return plain(row.id), owner(row.user_id), time(row.updated_at), text


def text_of(row: Record) -> str:
    """Return the text of a row; its JSON when it has none."""
    text = row.payload.get(row.kind.value)
    return text if isinstance(text, str) else json.dumps(row.payload, ensure_ascii=False)


def as_dict(row: Record) -> dict[str, Any]:
    """Return a row for scripts."""
    return {
        "kind": row.kind.value,
        "id": row.id,
        "user_id": row.user_id,
        "payload": row.payload,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
        "version": row.version,
    }
