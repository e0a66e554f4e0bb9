"""``add`` and ``rm``: single memories by hand."""

from __future__ import annotations

import sys
from typing import Any

import click

from buddy.memory.cli import exit_codes
from buddy.memory.cli.formatting import many, plain
from buddy.memory.cli.output import emit, say, tell
from buddy.memory.cli.parameters import json_option, opened, url_argument, whose_options
from buddy.memory.cli.row_output import IN_MEMORY, as_dict, is_in_memory, note_of, show_note
from buddy.memory.storage.users import Nobody


@click.command("add")
@url_argument
@click.argument("text")
@click.option("--user", metavar="ID", help="Whose it is; without it, nobody's.")
@click.option("--topic", "topics", multiple=True, metavar="WORD", help="May be repeated.")
@click.option(
    "--id", metavar="ID", help="Otherwise a fresh one. What the user has with this id is replaced."
)
@click.option("--ttl", type=float, metavar="SECONDS", help="How long it lives.")
@json_option
def add_command(
    url: str,
    text: str,
    user: str | None,
    topics: tuple[str, ...],
    id: str | None,
    ttl: float | None,
    as_json: bool,
) -> None:
    """Store one memory. TEXT "-" is read from standard input."""
    from buddy.memory.rows import MemoryRow
    from buddy.memory.transfer.rows import record
    from buddy.memory.v2.schema import UserMemory

    content = _standard_input() if text == "-" else text
    payload = UserMemory(content, list(topics) or None).payload()
    with opened(url) as db:
        stored = record(db.upsert_memory(MemoryRow(payload, id, user), ttl=ttl))
        note = IN_MEMORY if is_in_memory(db) else ""
    if as_json:
        emit(as_dict(stored))
    else:
        say(f"stored {plain(stored.id)} (version {stored.version})")
    show_note(note)


def _standard_input() -> str:
    try:
        return sys.stdin.buffer.read().decode().rstrip("\n")
    except UnicodeDecodeError as error:
        raise click.BadParameter(
            f"standard input is no UTF-8: {error}", param_hint="TEXT"
        ) from None


@click.command("rm")
@url_argument
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@whose_options
@click.option("--summary", is_flag=True, help="IDs are sessions: delete their summaries.")
@json_option
@click.pass_context
def rm_command(
    ctx: click.Context,
    url: str,
    ids: tuple[str, ...],
    user: str | Nobody | None,
    summary: bool,
    as_json: bool,
) -> None:
    """Delete memories by id. Exit code 1 when one of them was not there.

    Where several users have one with an id, --user or --nobody has to say whose; nothing
    is deleted then.
    """
    with opened(url) as db:
        # One by one, to tell which ones there were.
        read: Any = db.read_summary if summary else db.read_memory
        there = [id for id in dict.fromkeys(ids) if _is_there(read, id, user)]
        delete = db.delete_summaries if summary else db.delete_memories
        deleted = delete(there, user_id=user)
        note = "" if as_json or there else note_of(db)
    missing = [id for id in dict.fromkeys(ids) if id not in there]
    if as_json:
        emit({"deleted": deleted, "not_found": missing})
    else:
        say(f"deleted {many(deleted, 'row')}")
        for id in missing:
            tell(f"not found: {plain(id)}")
        show_note(note)
    ctx.exit(exit_codes.NO if missing else exit_codes.OK)


def _is_there(read: Any, id: str, user: str | Nobody | None) -> bool:
    from buddy.memory.errors import CorruptMemoryError

    try:
        return read(id, user_id=user) is not None
    except CorruptMemoryError:
        return True  # It can be deleted all the same.
