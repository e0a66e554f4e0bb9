"""``users``, ``ls`` and ``show``: what is in a store."""

from __future__ import annotations

import json
from itertools import islice
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from buddy.memory.cli import exit_codes
from buddy.memory.cli.formatting import iso, many, plain, shown_user
from buddy.memory.cli.output import emit, emit_error, facts, say, table, tell
from buddy.memory.cli.parameters import (
    json_option,
    limit_option,
    opened,
    summaries_option,
    url_argument,
    where_option,
    whose_options,
)
from buddy.memory.cli.row_output import as_dict, note_of, show_note, show_rows
from buddy.memory.storage.memory_methods import PAGE_SIZE
from buddy.memory.storage.record import Kind, Record
from buddy.memory.storage.users import NOBODY, Nobody

if TYPE_CHECKING:
    from buddy.memory.v2.db.base import MemoryDb

all_option = click.option(
    "--all", "everything", is_flag=True, help="All of them, whatever --limit says."
)


@click.command("users")
@url_argument
@click.option("--prefix", default="", metavar="TEXT", help="Only users whose id begins so.")
@click.option("--after", metavar="ID", help="Only users behind this one: the next page.")
@limit_option
@all_option
@json_option
def users_command(
    url: str, prefix: str, after: str | None, limit: int, everything: bool, as_json: bool
) -> None:
    """List users with what they have, by id."""
    with opened(url) as db:
        # One more than is shown tells whether there are more.
        users = db.list_users(prefix=prefix, after=after, limit=None if everything else limit + 1)
        there_are_more = not everything and len(users) > limit
        shown = users[:limit] if there_are_more else users
        rows: list[tuple[str | None, int, int]] = [(user, *_counts(db, user)) for user in shown]
        has_room = everything or len(shown) < limit
        if not prefix and not there_are_more and has_room:
            rows += [(None, *found) for found in [_counts(db, NOBODY)] if any(found)]
        note = "" if as_json or rows or users else note_of(db)
    if as_json:
        emit([{"user_id": u, "memories": m, "summaries": s} for u, m, s in rows])
        return
    table(
        ("User", "Memories", "Summaries"),
        [(shown_user(u), f"{m:,}", f"{s:,}") for u, m, s in rows],
        right=("Memories", "Summaries"),
    )
    more = f"; more: --after {quote(plain(shown[-1]))}" if there_are_more and shown else ""
    say(f"{many(len(rows), 'user')}{more}", "dim")
    show_note(note)


def _counts(db: MemoryDb, user: str | Nobody) -> tuple[int, int]:
    from buddy.memory.transfer.rows import counts

    found = counts(db, user)
    return found[Kind.MEMORY], found[Kind.SUMMARY]


@click.command("ls")
@url_argument
@whose_options
@click.option("--prefix", metavar="TEXT", help="Only users whose id begins so.")
@where_option
@limit_option
@all_option
@click.option("--oldest", is_flag=True, help="Oldest first instead of newest first.")
@summaries_option
@json_option
def ls_command(
    url: str,
    user: str | Nobody | None,
    prefix: str | None,
    where: Any,
    limit: int,
    everything: bool,
    oldest: bool,
    summaries: bool,
    as_json: bool,
) -> None:
    """List memories, newest first."""
    from buddy.memory.transfer.rows import record

    if user is not None and prefix is not None:
        raise click.UsageError("--prefix selects users, as --user and --nobody do: give one.")
    if summaries and where is not None:
        raise click.UsageError("--where is about the payloads of memories.")
    scope: Any = {"user_id": user, "user_prefix": prefix}
    if where is not None:
        scope["where"] = where
    with opened(url) as db:
        total = db.count_summaries(**scope) if summaries else db.count_memories(**scope)
        note = "" if as_json or total else note_of(db)
        iterate: Any = db.iter_summaries if summaries else db.iter_memories
        page = PAGE_SIZE if everything else min(PAGE_SIZE, limit or 1)
        rows = iterate(sort="asc" if oldest else "desc", page_size=page, **scope)
        shown = show_rows(map(record, islice(rows, None if everything else limit)), as_json)
    if not as_json:
        noun = ("summary", "summaries") if summaries else ("memory", "memories")
        say(f"{shown:,} of {many(total, *noun)}", "dim")
        show_note(note)


@click.command("show")
@url_argument
@click.argument("id")
@whose_options
@click.option("--summary", is_flag=True, help="ID is a session: show its summary.")
@json_option
@click.pass_context
def show_command(
    ctx: click.Context,
    url: str,
    id: str,
    user: str | Nobody | None,
    summary: bool,
    as_json: bool,
) -> None:
    """Show one memory in full.

    Where several users have one with this id, --user or --nobody has to say whose.
    """
    from buddy.memory.transfer.rows import record

    with opened(url) as db:
        read: Any = db.read_summary if summary else db.read_memory
        found = read(id, user_id=user)
        note = "" if as_json or found is not None else note_of(db)
    if found is None:
        text = f"There is no {'summary' if summary else 'memory'} {plain(id)!r}."
        if as_json:
            emit_error("NotFound", text, exit_codes.NO)
        else:
            tell(text)
            show_note(note)
        ctx.exit(exit_codes.NO)
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
    details = [
        (row.kind.value, plain(row.id)),
        ("user", shown_user(row.user_id)),
        ("created", iso(row.created_at) or "-"),
        ("updated", iso(row.updated_at) or "-"),
        ("version", str(row.version)),
    ]
    return details if row.expires_at is None else [*details, ("expires", iso(row.expires_at) or "")]
