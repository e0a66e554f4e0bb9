"""``receipt``: is a receipt of erasure as it was made, and what does it say?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from buddy.memory.cli import exit_codes
from buddy.memory.cli.commands.forget import show_receipt
from buddy.memory.cli.output import emit, say, tell
from buddy.memory.cli.parameters import json_option


@click.command("receipt")
@click.argument("file")
@json_option
@click.pass_context
def receipt_command(ctx: click.Context, file: str, as_json: bool) -> None:
    """Verify a receipt that forget --json printed.

    FILE "-" is standard input. Exit code 1 when the receipt was changed since it was made, or says
    itself that the erasure is not verified. The checksum is no signature: keep receipts where
    nobody writes them, or log them by the audit plugin.
    """
    facts = _read(file)
    intact = _is_intact(facts, file)
    if as_json:
        emit({"intact": intact, "receipt": facts})
    else:
        show_receipt(facts)
        if intact:
            say("The receipt is as it was made.")
    if not intact:
        tell("The receipt was changed since it was made: its checksum is another one.", "bold red")
    elif facts["verified"] is not True:
        tell("The receipt is as it was made, and says that the erasure was not verified.")
    if not intact or facts["verified"] is not True:
        ctx.exit(exit_codes.NO)


def _read(file: str) -> dict[str, Any]:
    from buddy.memory.payload import from_json
    from buddy.memory.transfer import FileError

    try:
        text = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return from_json(text.strip())
    except OSError as error:
        raise FileError(file, error.strerror or str(error)) from error
    except ValueError as error:
        raise FileError(file, f"is no receipt: {error}") from error


def _is_intact(facts: dict[str, Any], file: str) -> bool:
    from buddy.memory.receipt import is_intact
    from buddy.memory.transfer import FileError

    try:
        return is_intact(facts)
    except ValueError as error:
        raise FileError(file, f"is {error}") from error
