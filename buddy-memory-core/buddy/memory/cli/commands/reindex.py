"""``reindex``: vectors for rows that have none of a model."""

from __future__ import annotations

from dataclasses import asdict

import click

from buddy.memory.cli import exit_codes
from buddy.memory.cli.formatting import many
from buddy.memory.cli.output import emit, say, tell
from buddy.memory.cli.parameters import json_option, named_embedder, url_argument
from buddy.memory.cli.progress import Progress
from buddy.memory.errors import UnsupportedError


@click.command("reindex")
@url_argument
@click.option("--embedder", metavar="MODULE:NAME", required=True, help="The Embedder to use.")
@json_option
@click.pass_context
def reindex_command(ctx: click.Context, url: str, embedder: str, as_json: bool) -> None:
    """Give every memory the vectors of an embedder that it lacks.

    Versions and times stay. A call that was interrupted is continued by calling again. Exit code 1
    when rows were changed by others meanwhile: repeat it.
    """
    from buddy.memory import open_memory_db
    from buddy.memory.search.reindexing import reindex
    from buddy.memory.storage.sync_database import StoreBackedContract

    model = named_embedder(embedder)
    with open_memory_db(url, embedder=model) as db:
        if not isinstance(db, StoreBackedContract):
            raise UnsupportedError(type(db).__name__, "vectors")
        progress = Progress("embedding", db.count_memories())
        with progress:
            result = reindex(db, model, progress=lambda so_far: progress.update(so_far))
    if as_json:
        emit({**asdict(result), "seconds": progress.seconds})
    else:
        say(f"embedded {many(result.written, 'row')} in {progress.rate()}")
    if result.changed:
        tell(f"{many(result.changed, 'row')} changed meanwhile: repeat the command.")
        ctx.exit(exit_codes.NO)
