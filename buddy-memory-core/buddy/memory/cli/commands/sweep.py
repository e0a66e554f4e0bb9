"""``sweep``: the space of rows that have expired, given back."""

from __future__ import annotations

import click

from buddy.memory.cli.formatting import many
from buddy.memory.cli.output import emit, say
from buddy.memory.cli.parameters import json_option, opened, url_argument
from buddy.memory.cli.progress import Progress
from buddy.memory.cli.row_output import note_of, show_note


class _Removed:
    """What the progress shows."""

    def __init__(self, rows: int) -> None:
        self.rows = rows


@click.command("sweep")
@url_argument
@json_option
def sweep_command(url: str, as_json: bool) -> None:
    """Remove memories and summaries that have expired.

    They are invisible already; this frees their space. Works in short steps beside writers, so it
    may run from cron. A call that was interrupted is continued by calling again.
    """
    with opened(url) as db, Progress("sweeping", None, quiet=as_json) as progress:
        removed = db.sweep(lambda so_far: progress.update(_Removed(so_far)))
        note = "" if as_json or removed else note_of(db)
    if as_json:
        emit({"removed": removed, "seconds": progress.seconds})
    else:
        say(f"removed {many(removed, 'expired row')} in {progress.rate()}")
        show_note(note)
