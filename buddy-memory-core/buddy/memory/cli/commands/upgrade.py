"""``upgrade``: bring the tables of an older release up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from buddy.memory.cli import exits
from buddy.memory.cli.output import emit, say
from buddy.memory.cli.parameters import confirm, json_option, opened, url_argument, yes_option
from buddy.memory.cli.text import many
from buddy.memory.errors import SchemaError

if TYPE_CHECKING:
    from buddy.memory.v2.db.base import MemoryDb


@click.command("upgrade")
@url_argument
@yes_option
@json_option
@click.pass_context
def upgrade_command(ctx: click.Context, url: str, yes: bool, as_json: bool) -> None:
    """Bring the tables of an older release up to date.

    That includes tables of other software with the same layout.
    Every row is kept with its id, owner and times; rows that cannot be read are named and left as
    they are. Safe to repeat. Make a backup first: the layout is changed in place.
    """
    with opened(url) as db:
        state = _state(db)
        if not as_json:
            say(state)
        confirm("Bring it up to date in place?", yes)
        db.upgrade()
        result = _count(db)
    if as_json:
        emit({"before": state, **result})
    else:
        say(f"The layout is current: {many(result['readable'], 'row')} can be read.")
        if result["unreadable"]:
            say(f"{many(result['unreadable'], 'row')} cannot, and stand as they stood (see above).")
    ctx.exit(exits.NO if result["unreadable"] else exits.OK)


def _state(db: MemoryDb) -> str:
    if not db.table_exists():
        return "There are no tables: there is nothing to bring up to date."
    try:
        db.read_memories(limit=1)
    except SchemaError as error:
        return str(error)
    return "The layout of the tables is current; older rows in it, if any, will be converted."


def _count(db: MemoryDb) -> dict[str, Any]:
    from buddy.memory.transfer.rows import counts, records

    readable = sum(1 for _ in records(db))
    return {"readable": readable, "unreadable": max(0, sum(counts(db).values()) - readable)}
