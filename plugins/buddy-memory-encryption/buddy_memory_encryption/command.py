"""``buddy-memory rekey``, and ``buddy-memory-encryption`` for the keys themselves."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from buddy.memory import open_memory_db
from buddy.memory.cli.formatting import many
from buddy.memory.errors import ConfigError
from buddy_memory_encryption.keys import Keys, new_key
from buddy_memory_encryption.plugin import Encryption
from buddy_memory_encryption.rotation import encryption, rotate
from buddy_memory_encryption.user_keys import UserKeys


@click.command("rekey")
@click.argument("url")
@click.pass_context
def rekey_command(ctx: click.Context, url: str) -> None:
    """Encrypt a store again with the newest key, so that older ones can be taken away.

    Versions, times and ends of rows stay. May run while others write, and be repeated. Exit code 1
    when rows could not be read: these stay as they are.
    """
    _active()
    with open_memory_db(url) as db:
        done = rotate(db)
    keys = f", {many(done.user_keys, 'key')} of users" if done.user_keys else ""
    click.echo(f"{many(done.rewritten, 'row')} sealed anew{keys}, {done.unreadable} unreadable")
    ctx.exit(1 if done.unreadable else 0)


@click.group()
def keys_command() -> None:
    """Make and destroy keys of the encryption."""


@keys_command.command("new-key")
def new_key_command() -> None:
    """Print a random key."""
    click.echo(new_key())


@keys_command.command("new-user-keys")
@click.argument("file")
def new_user_keys_command(file: str) -> None:
    """Make the file of the users' keys, once."""
    if Path(file).exists():
        raise click.ClickException(f"{file} is there already")
    UserKeys(file, Keys.parse(f"unused:{new_key()}"), create=True)
    click.echo(
        f"export BUDDY_MEMORY_ENCRYPTION_USER_KEYS={shlex.quote(str(Path(file).absolute()))}"
    )


@keys_command.command("destroy")
@click.argument("user", required=False)
@click.option("--nobody", is_flag=True, help="The key of what has no user.")
@click.confirmation_option("--yes", prompt="Nobody can read this user's rows any more. Go on?")
@click.pass_context
def destroy_command(ctx: click.Context, user: str | None, nobody: bool) -> None:
    """Destroy the key of a user: the rows, and all backups of them, are unreadable for good.

    ``buddy-memory forget`` deletes the rows, and destroys the key itself. Exit code 1 when there
    was no key.
    """
    if (user is None) != nobody:
        raise click.UsageError("Name the USER, or give --nobody.")
    user_keys = _active().user_keys
    if user_keys is None:
        raise ConfigError("BUDDY_MEMORY_ENCRYPTION_USER_KEYS is not set: users have no keys")
    there = user_keys.destroy(user)
    click.echo("destroyed" if there else "there is no such key")
    ctx.exit(0 if there else 1)


def _active() -> Encryption:
    try:
        return encryption()
    except RuntimeError as error:
        raise ConfigError(f"{error}: set BUDDY_MEMORY_ENCRYPTION_KEYS and install it") from error


def main() -> None:
    """Run ``buddy-memory-encryption``."""
    from buddy.memory.errors import MemoryDbError

    try:
        keys_command()
    except MemoryDbError as error:
        sys.exit(f"error: {error}")
