"""Parameters that commands share."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from buddy.memory.errors import ConfigError
from buddy.memory.registry import default as registry
from buddy.memory.registry import open_memory_db
from buddy.memory.storage.users import NOBODY, Nobody

if TYPE_CHECKING:
    from buddy.memory.search.embedder import Embedder
    from buddy.memory.v2.db.base import MemoryDb


def complete_url(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the schemes of installed backends that begin so, for the shell."""
    installed = [name for name, b in registry.backends().items() if b.version is not None]
    return [CompletionItem(f"{n}://") for n in installed if f"{n}://".startswith(incomplete)]


url_argument = click.argument("url", shell_complete=complete_url)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
yes_option = click.option("--yes", "-y", is_flag=True, help="Do it without asking.")
limit_option = click.option(
    "--limit", "-n", type=click.IntRange(min=0), default=20, show_default=True, metavar="N",
    help="At most so many.",
)  # fmt: skip
summaries_option = click.option(
    "--summaries", is_flag=True, help="Session summaries instead of memories."
)


def _parsed_where(ctx: click.Context, param: click.Parameter, text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"it is not JSON: {error}") from None


where_option = click.option(
    "--where", metavar="JSON", callback=_parsed_where,
    help="Conditions on the payload, as in the API.",
)  # fmt: skip


def whose_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --user and --nobody to a command, which gets ``user``: an id, NOBODY, or None."""

    @click.option("--nobody", is_flag=True, help="Only what has no user.")
    @click.option("--user", metavar="ID", help="Only what this user has.")
    @wraps(command)
    def named(*args: Any, user: str | None, nobody: bool, **kwargs: Any) -> Any:
        return command(*args, user=one_of(user, nobody), **kwargs)

    return named


def one_of(user: str | None, nobody: bool) -> str | Nobody | None:
    """Return whose rows a command is about; None where neither option was given."""
    if user is not None and nobody:
        raise click.UsageError("Give either a user or --nobody.")
    return NOBODY if nobody else user


def file_argument(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """Return the name of a file; refuse a URL, which stands in the other place."""
    if "://" in value:
        raise click.BadParameter("it is a URL: the URL comes first, then the file")
    return value


@contextmanager
def opened(url: str) -> Generator[MemoryDb, None, None]:
    """Open the database that ``url`` names, and close it."""
    with open_memory_db(url) as db:
        yield db


def named_embedder(path: str) -> Embedder:
    """Return the Embedder that a path names; importing it runs the code of its module."""
    from buddy.memory.import_path import describe, resolve
    from buddy.memory.search.embedder import Embedder

    try:
        found = resolve(path)
    except Exception as error:
        raise ConfigError(f"{path} cannot be imported: {describe(error)}") from error
    if not isinstance(found, Embedder):
        raise ConfigError(f'{path} is no Embedder: write Embedder(fn, model="name") there')
    return found


def confirm(question: str, yes: bool) -> None:
    """Ask unless told not to; aborts the command on anything but a yes."""
    if yes:
        return
    agreed = False
    try:
        agreed = click.confirm(question, err=True)
    finally:
        if not sys.stdin.isatty():  # Nobody has typed the end of the line.
            click.echo(err=True)
    if not agreed:
        raise click.Abort
