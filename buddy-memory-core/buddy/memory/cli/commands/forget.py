"""``forget``: erase a user, and prove it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from buddy.memory.cli import exit_codes
from buddy.memory.cli.formatting import many, plain, shown_user
from buddy.memory.cli.output import emit, facts, say, tell
from buddy.memory.cli.parameters import (
    confirm,
    json_option,
    one_of,
    opened,
    url_argument,
    yes_option,
)
from buddy.memory.cli.row_output import note_of, show_note
from buddy.memory.storage.record import Kind
from buddy.memory.storage.users import NOBODY

if TYPE_CHECKING:
    from buddy.memory.receipt import Receipt


@click.command("forget")
@url_argument
@click.argument("user", required=False)
@click.option("--nobody", is_flag=True, help="Erase what has no user, in place of USER.")
@yes_option
@json_option
@click.pass_context
def forget_command(
    ctx: click.Context, url: str, user: str | None, nobody: bool, yes: bool, as_json: bool
) -> None:
    """Erase a user and print a receipt.

    Memories and summaries are erased, also those of older software, and it is checked
    that they are gone: exit code 1 when that is not so, or not known. Backups, exports and
    copies elsewhere are not reached. Erasing a user who has nothing gives a receipt, too.
    """
    from buddy.memory.transfer.rows import counts

    erased = one_of(user, nobody)
    if erased is None:
        raise click.UsageError("Name the USER, or give --nobody for what has no user.")
    with opened(url) as db:
        before = counts(db, erased)
        memories = many(before[Kind.MEMORY], "memory", "memories")
        summaries = many(before[Kind.SUMMARY], "summary", "summaries")
        whose = "without a user" if erased is NOBODY else f"of the user {shown_user(user)}"
        # A receipt for the wrong store must not look like one: told to a program, too.
        show_note("" if any(before.values()) else note_of(db))
        confirm(f"Erase {memories} and {summaries} {whose} for good?", yes)
        receipt = db.forget_user(erased)
    if as_json:
        emit(receipt.to_dict())
    else:
        show_receipt(receipt.to_dict())
    if not receipt.verified:
        _advise(receipt)
        ctx.exit(exit_codes.NO)


def show_receipt(receipt: Mapping[str, Any]) -> None:
    """Print what ``Receipt.to_dict`` returned, for people."""
    say("Receipt of erasure", "bold")
    versions = receipt.get("versions")
    shown = {**receipt, "user_id": shown_user(receipt["user_id"])}
    if isinstance(versions, dict):
        shown["versions"] = ", ".join(f"{name} {number}" for name, number in versions.items())
    if not shown.get("reason"):
        shown.pop("reason", None)
    if shown.get("remaining") is None:
        shown["remaining"] = "not known"
    facts((plain(key.replace("_", " ")), plain(str(value))) for key, value in shown.items())


def _advise(receipt: Receipt) -> None:
    if receipt.remaining:
        tell("Rows of this user are still there: erase again when nobody writes for the user.")
    else:
        tell("What was found is erased; whether that is all could not be checked.")
        tell("Erase again when the reason is gone.")
