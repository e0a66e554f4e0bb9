"""``search``: the memories of one user that fit a query."""

from __future__ import annotations

from typing import Any

import click

from buddy.memory.cli import exit_codes
from buddy.memory.cli.formatting import many, one_line, plain, time
from buddy.memory.cli.output import emit_each, listing, say
from buddy.memory.cli.parameters import (
    json_option,
    limit_option,
    named_embedder,
    url_argument,
    where_option,
    whose_options,
)
from buddy.memory.cli.row_output import as_dict, note_of, show_note, text_of
from buddy.memory.search.request import METHODS, SearchResult
from buddy.memory.storage.users import Nobody


@click.command("search")
@url_argument
@click.argument("words", nargs=-1, required=True)
@whose_options
@click.option("--method", type=click.Choice(METHODS), default="keyword", show_default=True)
@where_option
@limit_option
@click.option("--embedder", metavar="MODULE:NAME", help="An Embedder, for the other methods.")
@json_option
@click.pass_context
def search_command(
    ctx: click.Context,
    url: str,
    words: tuple[str, ...],
    user: str | Nobody | None,
    method: str,
    where: Any,
    limit: int,
    embedder: str | None,
    as_json: bool,
) -> None:
    """Find the memories of a user that fit the words.

    Best first, with their scores and the words that matched. Exit code 1 when there are none.
    """
    from buddy.memory import open_memory_db

    if user is None:
        raise click.UsageError("A search is about one user: give --user ID or --nobody.")
    model = None if embedder is None else named_embedder(embedder)
    with open_memory_db(url) if model is None else open_memory_db(url, embedder=model) as db:
        found = db.search_memories(
            " ".join(words), user_id=user, where=where, limit=limit, method=method
        )
        note = "" if as_json or found else note_of(db)
    if as_json:
        emit_each(map(_as_dict, found))
    else:
        listing(("Score", "Id", "Updated", "Text", "Matched"), map(_cells, found))
        say(many(len(found), "match", "matches"), "dim")
        show_note(note)
    ctx.exit(exit_codes.OK if found else exit_codes.NO)


def _cells(result: SearchResult[Any]) -> tuple[str, ...]:
    from buddy.memory.transfer.rows import record

    row = record(result.row)
    return (
        f"{result.score:.3f}",
        plain(row.id),
        time(row.updated_at),
        one_line(text_of(row)),
        one_line(", ".join(result.matched)),
    )


def _as_dict(result: SearchResult[Any]) -> dict[str, Any]:
    from buddy.memory.transfer.rows import record

    return {
        **as_dict(record(result.row)),
        "score": result.score,
        "keyword": result.keyword,
        "cosine": result.cosine,
        "matched": list(result.matched),
    }
