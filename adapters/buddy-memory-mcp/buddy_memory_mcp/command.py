"""``buddy-memory mcp``: the server on standard streams, or over HTTP."""

from __future__ import annotations

import sys
from collections.abc import Callable

import anyio
import click

from buddy.memory.errors import ConfigError
from buddy_memory_mcp.http import Outages, auth_options, bound, parse_address, rights, security
from buddy_memory_mcp.server import make_server, token_subject


def _constant(user: str) -> Callable[[], str]:
    return lambda: user


@click.command("mcp")
@click.argument("url")
@click.option("--user", metavar="ID", help="Whose memories these are.")
@click.option("--http", "http", metavar="HOST:PORT", help="Serve over HTTP, at /mcp.")
@click.option("--read-only", is_flag=True, help="Only the tools that change nothing.")
@click.option("--jwks", metavar="URL", help="Where the issuer of tokens publishes its keys.")
@click.option("--issuer", metavar="URL", help="Who issues the tokens.")
@click.option("--audience", metavar="NAME", help="For whom tokens must be issued.")
@click.option("--token-verifier", metavar="MODULE:NAME", help="A TokenVerifier of your own.")
@click.option(
    "--public-host", "public", multiple=True, metavar="NAME",
    help="A Host header to answer besides, where a proxy is in front.",
)  # fmt: skip
def mcp_command(
    url: str,
    user: str | None,
    http: str | None,
    read_only: bool,
    jwks: str | None,
    issuer: str | None,
    audience: str | None,
    token_verifier: str | None,
    public: tuple[str, ...],
) -> None:
    """Serve memories to agents by the Model Context Protocol.

    On standard streams --user says whose memories these are. Over HTTP it is the subject of the
    verified token; --user is then for loopback only, with a token that is printed once.
    """
    if user == "":
        raise ConfigError("--user is empty")
    keys = (jwks, issuer, audience)
    if http is None:
        if user is None or token_verifier is not None or any(keys) or public:
            raise ConfigError("on standard streams, give --user and nothing that is for --http")
        server = make_server(url, _constant(user), read_only=read_only)
        anyio.run(server.run_stdio_async)
        return
    address = parse_address(http)
    who = rights(address, user, keys, token_verifier)
    options = auth_options(address, who)
    server = make_server(url, token_subject, read_only=read_only, log_level="WARNING", **options)

    async def serve() -> None:
        import uvicorn  # Not needed on standard streams.

        sockets = await bound(address)
        print(who.notice, file=sys.stderr, flush=True)  # noqa: T201  (what the command is for)
        # Without sessions, so that each request is its own token's.
        app = server.streamable_http_app(
            host=address.host,
            stateless_http=True,
            transport_security=security(address, public),
        )
        app.add_middleware(Outages)
        await uvicorn.Server(uvicorn.Config(app, log_level="warning")).serve(sockets)

    anyio.run(serve)


def main() -> None:
    """Run the command by its own name, as ``uvx buddy-memory-mcp URL --user ID`` does."""
    from buddy.memory.cli.app import run

    sys.exit(run(["mcp", *sys.argv[1:]]))
