"""``forget``: erase a user, and prove it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from buddy.memory.cli import exits
from buddy.memory.cli.output import emit, facts, say, tell
from buddy.memory.cli.parameters import confirm, json_option, opened, url_argument, yes_option
from buddy.memory.cli.text import iso, many, plain
from buddy.memory.config import redact
from buddy.memory.errors import MemoryDbError
from buddy.memory.storage import clock
from buddy.memory.storage.record import Kind

if TYPE_CHECKING:
    from buddy.memory.v2.db.base import MemoryDb


@click.command("forget")
@url_argument
@click.argument("user")
@yes_option
@json_option
@click.pass_context
def forget_command(ctx: click.Context, url: str, user: str, yes: bool, as_json: bool) -> None:
    """Erase a user and print a receipt.

    Memories and summaries are erased, and it is checked that they are gone. Backups,
    exports and copies elsewhere are not reached. Erasing a user who owns nothing is fine
    and gives a receipt, too.
    """
    from buddy.memory.transfer.rows import counts

    with opened(url) as db:
        before = counts(db, user)
        memories = many(before[Kind.MEMORY], "memory", "memories")
        summaries = many(before[Kind.SUMMARY], "summary", "summaries")
        name = plain(user) or '""'
        confirm(f"Erase {memories} and {summaries} of the user {name} for good?", yes)
        receipt, unknown = _erase(db, user)
    if as_json:
        emit(receipt)
    else:
        say("Receipt of erasure", "bold")
        shown = {**receipt, "user_id": user or '""'}
        lines = [(key.replace("_", " "), _shown(value)) for key, value in shown.items()]
        facts([line for line in lines if line[1]])
    _advise(receipt)
    if unknown is not None:
        ctx.exit(exits.code_of(unknown))
    if not receipt["verified"]:
        ctx.exit(exits.NO)


def _shown(value: Any) -> str:
    return "not known" if value is None else plain(str(value))


def _advise(receipt: dict[str, Any]) -> None:
    if receipt["not_checked"]:
        tell("This is erased, and whether it is all could not be checked (see above).")
        tell("Erase again, as somebody who may look, when the backend answers.")
    elif receipt["older"]:
        tell(f"{many(receipt['older'], 'row')} of this user are of older software and still there:")
        tell("bring the store up to date (buddy-memory upgrade URL), and erase again.")
    elif receipt["remaining"]:
        tell("Somebody writes for this user meanwhile: erase again when that has stopped.")


def _erase(db: MemoryDb, user: str) -> tuple[dict[str, Any], MemoryDbError | None]:
    """Erase the user; return the receipt, and why something in it is not known."""
    from buddy.memory.transfer.older import Older
    from buddy.memory.transfer.rows import counts

    deleted, erased_at = db.delete_user(user), iso(clock.utc_now())
    remaining = older = unknown = None
    try:
        remaining = sum(counts(db, user).values()) + len(db.read_memories(user, 1))
        older = sum(row.user_id == user for row in Older(db).read())
    except MemoryDbError as error:  # What is erased is, and has to be told.
        unknown = error
    return {
        "user_id": user,
        "store": " ".join(f"{key}={value}" for key, value in db.to_dict().items() if value),
        "erased_at": erased_at,
        "memories_erased": deleted["memories"],
        "summaries_erased": deleted["summaries"],
        "remaining": remaining,
        "older": older,
        "not_checked": redact(" ".join(str(unknown or "").split())),
        "verified": remaining == older == 0,
    }, unknown
