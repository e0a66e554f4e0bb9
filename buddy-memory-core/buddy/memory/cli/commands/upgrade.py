"""``upgrade``: bring what older software left up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from buddy.memory.cli import exit_codes
from buddy.memory.cli.formatting import many, one_line
from buddy.memory.cli.output import emit, say
from buddy.memory.cli.parameters import confirm, json_option, opened, url_argument, yes_option

if TYPE_CHECKING:
    from buddy.memory.transfer.legacy_source import LegacySource
    from buddy.memory.v2.db.base import MemoryDb


@click.command("upgrade")
@url_argument
@yes_option
@json_option
@click.pass_context
def upgrade_command(ctx: click.Context, url: str, yes: bool, as_json: bool) -> None:
    """Bring a store of older software up to date.

    Every row is kept with its user, id and times; rows that cannot be read are named and left as
    they are. Safe to repeat. Make a backup first: the layout is changed in place, and the older
    software cannot use the store any more. To leave it as it is, use "copy --from-legacy".
    """
    with opened(url) as db:
        before = _legacy(db)
        found, wrong = before.rows + len(before.unreadable), _wrong(db)
        if not as_json:
            _show(before, wrong)
        if found or wrong:
            confirm("Bring it up to date in place?", yes)
            db.upgrade()
        result = {"legacy": found, **_result(db)}
    if as_json:
        emit(result)
    else:
        say(f"The layout is current: {many(result['readable'], 'row')} can be read.")
        if result["unreadable"]:
            say(f"{many(result['unreadable'], 'row')} cannot, and stand as they stood.")
        if result["left"]:
            say(f"{many(result['left'], 'row')} stayed where they are (see above).")
    ctx.exit(exit_codes.NO if result["unreadable"] or result["left"] else exit_codes.OK)


def _wrong(db: MemoryDb) -> str:
    """Return why the store cannot be read as it is; "" when it can."""
    from buddy.memory.errors import SchemaError
    from buddy.memory.storage.sync_database import StoreBackedContract

    if not isinstance(db, StoreBackedContract):
        return f"What there is to do, {type(db).__name__} knows."
    try:
        db.read_memories(limit=1)
    except SchemaError as error:
        if "upgrade()" not in str(error):
            raise  # It is none of ours.
        return str(error)
    return ""


def _legacy(db: MemoryDb) -> LegacySource:
    """Return what older software left, read and not changed."""
    from buddy.memory.transfer.legacy_source import LegacySource

    source = LegacySource(db)
    for _ in source.read():
        pass
    return source


def _show(before: LegacySource, wrong: str) -> None:
    if wrong:
        say(wrong)
    if before.rows:
        say(f"{many(before.rows, 'memory', 'memories')} of older software can be read.")
    if before.unreadable:
        say(f"{many(len(before.unreadable), 'row')} cannot be read, and will stay as they stand:")
        for id, reason in before.unreadable[:10]:
            say(f"  {one_line(id, 100)}: {one_line(reason)}")


def _result(db: MemoryDb) -> dict[str, int]:
    from buddy.memory.transfer.rows import records

    unreadable: list[int] = []
    readable = sum(1 for _ in records(db, skipped=unreadable.append))
    after = _legacy(db)
    return {
        "readable": readable,
        "unreadable": sum(unreadable),
        "left": after.rows + len(after.unreadable),
    }
