"""``buddy-memory ui``: serve the page on loopback, and print the one link to it."""

from __future__ import annotations

import secrets
import socket
import sys

import click
import uvicorn

from buddy.memory import open_async_memory_db
from buddy.memory.cli.parameters import named_embedder
from buddy.memory.errors import ConfigError
from buddy_memory_ui.app import make_app

HOST = "127.0.0.1"


@click.command("ui")
@click.argument("url")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="By default a free one.")
@click.option("--write", is_flag=True, help="Allow to edit, delete and forget.")
@click.option("--embedder", metavar="MODULE:NAME", help="The Embedder for searches by meaning.")
def ui_command(url: str, port: int, write: bool, embedder: str | None) -> None:
    """Look into a store with a browser on this machine.

    Prints one link, which signs in once. Nothing can be changed without --write. Ends with Ctrl+C.
    """
    options = {} if embedder is None else {"embedder": named_embedder(embedder)}
    db = open_async_memory_db(url, **options)
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, port))
        except OSError as error:
            raise ConfigError(f"port {port} cannot be used: {error.strerror}") from error
        port = listening.getsockname()[1]
        token = secrets.token_urlsafe(32)
        app = make_app(db, url, port=port, token=token, write=write, embedder=embedder)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", server_header=False))
        listening.listen()
        click.echo(f"http://{HOST}:{port}/?token={token}")
        sys.stdout.flush()
        server.run(sockets=[listening])


def main() -> None:
    """Run the command by its own name, as ``uvx buddy-memory-ui URL`` does."""
    from buddy.memory.cli.app import run

    sys.exit(run(["ui", *sys.argv[1:]]))
