"""``completion``: what makes a shell complete our commands."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(shell: str) -> None:
    """Print the completion script for a shell.

    For bash: eval "$(buddy-memory completion bash)" in ~/.bashrc; zsh alike. For fish: save it as
    ~/.config/fish/completions/buddy-memory.fish.
    """
    from buddy.memory.cli.app import cli
    from buddy.memory.cli.shells import VARIABLE

    complete = get_completion_class(shell)
    assert complete is not None
    script = complete(cli, {}, "buddy-memory", VARIABLE).source()
    click.echo(script)
