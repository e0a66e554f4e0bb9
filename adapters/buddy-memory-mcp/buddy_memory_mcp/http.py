"""Serving over HTTP: who may ask, and under which names."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from mcp.server.auth.provider import TokenVerifier
from mcp.server.auth.settings import AuthSettings
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import AnyHttpUrl
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from buddy.memory.config import redact, redact_url
from buddy.memory.errors import ConfigError
from buddy_memory_mcp.tokens import JwtVerifier, KeysUnavailableError, OneToken, load_verifier

logger = logging.getLogger(__name__)

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Address(NamedTuple):
    """Where the server listens."""

    host: str
    port: int

    @property
    def name(self) -> str:
        """The host as in a URL."""
        return f"[{self.host}]" if ":" in self.host else self.host


def parse_address(text: str) -> Address:
    """Return the address that HOST:PORT names. Raises ConfigError for anything else."""
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not port or parts.path or parts.query or parts.username:
        raise ConfigError(f"--http {text!r:.100} is not HOST:PORT")
    return Address(host, port)


class Rights(NamedTuple):
    """Who may ask: the verifier, its issuer, and what to tell whoever started the server."""

    verifier: TokenVerifier
    issuer: str
    notice: str


def rights(
    address: Address,
    user: str | None,
    jwks: tuple[str | None, str | None, str | None],
    token_verifier: str | None,
) -> Rights:
    """Return who may ask. ``jwks`` is the keys' URL, the issuer and the audience.

    Exactly one way is allowed: one user on loopback, an issuer's tokens, or a verifier of one's
    own. Raises ConfigError for none, and for several.
    """
    ways = [user is not None, any(part is not None for part in jwks), token_verifier is not None]
    if sum(ways) != 1:
        raise ConfigError(
            "--http needs one of these: --user (on loopback only), --jwks with --issuer and "
            "--audience, or --token-verifier"
        )
    url = f"http://{address.name}:{address.port}"
    if user is not None:
        if address.host not in LOOPBACK:
            raise ConfigError(
                f"--user with --http is for loopback only, and not for {address.host}: whoever "
                "reaches the server would need one token for one user"
            )
        token = secrets.token_urlsafe(32)
        return Rights(OneToken(token, user), url, f"{url}/mcp with the bearer token {token}")
    if token_verifier is not None:
        return Rights(load_verifier(token_verifier), url, f"{url}/mcp")
    keys, issuer, audience = jwks
    if not (keys and issuer and audience):
        raise ConfigError("--jwks, --issuer and --audience belong together")
    _check_url("--jwks", keys)
    _check_url("--issuer", issuer)
    return Rights(JwtVerifier(keys, issuer, audience), issuer, f"{url}/mcp")


def _check_url(option: str, url: str) -> None:
    try:
        AnyHttpUrl(url)
    except ValueError:
        shown = redact_url(url)
        raise ConfigError(f"{option} {shown!r:.100} is no http:// or https:// URL") from None


async def bound(address: Address) -> list[socket.socket]:
    """Return sockets that hold the address, and do not listen yet. Raises ConfigError."""
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(
            asyncio.Protocol, address.host, address.port, start_serving=False
        )
    except OSError as error:
        raise ConfigError(f"--http {address.name}:{address.port}: {error}") from None
    sockets = [each.dup() for each in server.sockets]
    server.close()
    return sockets


class Outages:
    """Answers 503 while the issuer's keys cannot be read: 401 would call a right token wrong."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        try:
            await self._app(scope, receive, send)
        except KeysUnavailableError as error:
            logger.error("the keys of the issuer cannot be read: %s", redact(str(error)))
            await PlainTextResponse("try again later", 503)(scope, receive, send)


def auth_options(address: Address, who: Rights) -> dict[str, Any]:
    """Return the options of MCPServer by which it asks for a token."""
    settings = AuthSettings(
        issuer_url=AnyHttpUrl(who.issuer),
        resource_server_url=AnyHttpUrl(f"http://{address.name}:{address.port}/mcp"),
        validate_token_resource=False,  # The verifiers check the audience.
    )
    return {"auth": settings, "token_verifier": who.verifier}


def security(address: Address, public: tuple[str, ...]) -> TransportSecuritySettings:
    """Return which Host and Origin headers are answered: the address itself, on loopback all its
    names, and the ``public`` names given."""
    hosts = LOOPBACK if address.host in LOOPBACK else (address.host,)
    names = [f"[{host}]" if ":" in host else host for host in hosts]
    allowed = [f"{name}:{address.port}" for name in names] + list(public)
    origins = [f"{scheme}://{name}" for name in allowed for scheme in ("http", "https")]
    return TransportSecuritySettings(allowed_hosts=allowed, allowed_origins=origins)
