"""``buddy-memory audit``: does the chain of an audit log hold?"""

from __future__ import annotations

import json

import click

from buddy_memory_audit.chain import verify
from buddy_memory_audit.log import key_of_environment


@click.command("audit")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--last", metavar="HASH", help="What an earlier call printed: it must be there still."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def audit_command(ctx: click.Context, file: str, last: str | None, as_json: bool) -> None:
    """Verify that no line of an audit log was changed, taken out or put in later.

    Exit code 1 when one was. A chain that was made with a key needs BUDDY_MEMORY_AUDIT_KEY. Keep
    the hash that is printed elsewhere, and give it to the next call by --last: lines that were cut
    off at the end are noticed by that alone.
    """
    found = verify(file, key=key_of_environment(), until=last)
    if as_json:
        click.echo(json.dumps({"intact": found.intact, **found._asdict()}))
    else:
        for number in found.broken:
            click.echo(f"line {number} does not follow the line before it", err=True)
        for number in found.torn:
            click.echo(f"line {number} is torn: nothing can be said of it", err=True)
        if not found.reached:
            click.echo("the line with the hash of --last is gone", err=True)
        verdict = "the chain holds" if found.intact else "the log was changed"
        click.echo(f"{verdict}: {found.lines} lines, the last hash is {found.last}")
    ctx.exit(0 if found.intact else 1)
