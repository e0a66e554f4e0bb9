"""Who makes a request over HTTP: verifiers of bearer tokens."""

from __future__ import annotations

import asyncio
import hmac
import logging
from importlib import import_module
from typing import Any

import jwt
from mcp.server.auth.provider import AccessToken, TokenVerifier

from buddy.memory.errors import ConfigError

logger = logging.getLogger(__name__)

ALGORITHMS = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
]  # fmt: skip
"""Signatures by a private key. "none", and secrets that the server would share, are refused."""


class KeysUnavailableError(Exception):
    """The keys of the issuer cannot be read, so that no token can be called right or wrong."""


class JwtVerifier:
    """Verifies JSON Web Tokens by the keys that the issuer publishes.

    Signature, ``exp``, ``iss``, ``aud`` and a ``sub`` that is a text are required.
    """

    def __init__(self, jwks_url: str, issuer: str, audience: str) -> None:
        self._keys = jwt.PyJWKClient(jwks_url, timeout=10)
        self._issuer = issuer
        self._audience = audience

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return what the token says, or None for one that is not valid.

        Raises KeysUnavailableError where that cannot be told.
        """
        try:
            claims = await asyncio.to_thread(self._claims, token)
        except jwt.PyJWTError as error:
            logger.info("a token was refused: %s", type(error).__name__)
            return None
        subject = claims["sub"]
        if not isinstance(subject, str) or not subject:
            return None
        client = claims.get("client_id") or claims.get("azp") or subject
        scopes = str(claims.get("scope", "")).split()
        return AccessToken(
            token=token, client_id=str(client), scopes=scopes, expires_at=int(claims["exp"]),
            subject=subject, claims={"iss": claims["iss"]},
        )  # fmt: skip

    def _claims(self, token: str) -> dict[str, Any]:
        if jwt.get_unverified_header(token).get("alg") not in ALGORITHMS:
            raise jwt.InvalidAlgorithmError
        try:
            self._keys.get_jwk_set()  # Mostly from its cache.
        except Exception as error:  # Whatever somebody else's server answers.
            raise KeysUnavailableError(f"{type(error).__name__}: {error}") from error
        key = self._keys.get_signing_key_from_jwt(token)
        return jwt.decode(
            token,
            key.key,
            algorithms=ALGORITHMS,
            issuer=self._issuer,
            audience=self._audience,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )


class OneToken:
    """Knows one token, that of one user."""

    def __init__(self, token: str, user: str) -> None:
        self._token = token
        self._user = user

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return the user's access for the token, or None for any other."""
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            return None
        return AccessToken(token=token, client_id="local", scopes=[], subject=self._user)


def load_verifier(path: str) -> TokenVerifier:
    """Return the verifier that ``module:name`` is, or makes when it is called without arguments.

    Raises ConfigError when there is none.
    """
    module, _, name = path.partition(":")
    try:
        found = getattr(import_module(module), name)
        verifier = (
            found if hasattr(found, "verify_token") and not isinstance(found, type) else found()
        )
    except Exception as error:
        raise ConfigError(f"--token-verifier {path!r}: {type(error).__name__}: {error}") from error
    if not hasattr(verifier, "verify_token"):
        raise ConfigError(f"--token-verifier {path!r} has no verify_token method")
    loaded: TokenVerifier = verifier
    return loaded
