"""``check``: what the doctor finds, as people or scripts read it."""

from __future__ import annotations

from dataclasses import asdict

import click

from buddy.memory.cli import exit_codes
from buddy.memory.cli.doctor import Finding, examine
from buddy.memory.cli.formatting import plain
from buddy.memory.cli.output import console, emit
from buddy.memory.cli.parameters import json_option, url_argument

_MARKS = {
    "ok": ("✓", "green"),
    "warning": ("!", "yellow"),
    "failed": ("✗", "bold red"),
    "not tried": ("-", "dim"),
}


@click.command("check")
@url_argument
@click.option("--no-write", is_flag=True, help="Do not write, read and delete a row of our own.")
@click.option("--create", is_flag=True, help="Make the tables if they are missing.")
@json_option
@click.pass_context
def check_command(
    ctx: click.Context, url: str, no_write: bool, create: bool, as_json: bool
) -> None:
    """Examine a database and this installation.

    Asks for connection, settings, tables and rights, and whether our files are ours.
    The exit code is that of the first check that failed, 0 when none did.
    """
    findings: list[Finding] = []
    for finding in examine(url, write=not no_write, create=create):
        findings.append(finding)
        if not as_json:
            _show(finding)
    if as_json:
        emit([asdict(finding) for finding in findings])
    ctx.exit(next((f.exit_code for f in findings if f.exit_code), exit_codes.OK))


def _show(finding: Finding) -> None:
    from rich.table import Table
    from rich.text import Text

    mark, style = _MARKS[finding.state]
    line = Table.grid(padding=(0, 1))
    line.add_column(width=1)
    line.add_column(width=12)
    line.add_column(overflow="fold")
    line.add_row(Text(mark, style), Text(finding.check, "bold"), Text(plain(finding.detail)))
    console().print(line)
