"""Config strings: what names a database, parsed but not yet looked up.

A config is a URL (``sqlite:///memory.db?table_name=notes``), a backend's name (``sqlite``), a class
(``acme_memory.v2:AcmeMemoryDb``) or a mapping (``{"backend": "redis", "prefix": "x"}``).
``${NAME}`` in any string is filled from the environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from buddy.memory.errors import ConfigError

_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+._-]*)://")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9+._-]*")
_CLASS = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
# Greedy up to the last @: a password with a bare @ or / makes no legal URL, but must stay unseen.
_PASSWORD = re.compile(r"(://[^:/?#@]*:).*@", re.DOTALL)
_PARAMETER = re.compile(r"([?&;][^?=&;#]*=)[^&;#]*")
_SECRETS = ("passw", "pwd", "secret", "token", "credential", "apikey", "api_key", "mechanismprop")


class Target(NamedTuple):
    """A parsed config: the name, scheme or class to look up, the URL if any, the options."""

    name: str
    url: str | None
    options: dict[str, Any]


def parse(config: object) -> Target:
    """Return what ``config`` names. Raises ConfigError when it names nothing."""
    if isinstance(config, Mapping):
        return _parse_mapping(config)
    if not isinstance(config, str):
        raise ConfigError(
            f"a database is named by a string or a mapping, not {type(config).__name__}"
        )
    text = expand(config).strip()
    if scheme := _SCHEME.match(text):
        return Target(scheme[1].lower(), text, {})
    if _NAME.fullmatch(text):
        return Target(text.lower(), None, {})
    if _CLASS.fullmatch(text):
        return Target(text, None, {})
    raise ConfigError(
        f"{redact_url(text)!r:.120} names no database. Give a URL such as sqlite:///memory.db, the "
        "name of a backend, or a class as package.module:Class."
    )


def _parse_mapping(config: Mapping[Any, Any]) -> Target:
    options = {
        str(key): expand(value) if isinstance(value, str) else value
        for key, value in config.items()
    }
    named = [key for key in ("backend", "url") if options.get(key)]
    if len(named) != 1:
        raise ConfigError('a mapping names its database by either "backend" or "url"')
    target = parse(options.pop(named[0]))
    options = {key: value for key, value in options.items() if key not in ("backend", "url")}
    return target._replace(options=options)


def expand(text: str) -> str:
    """Return ``text`` with every ``${NAME}`` replaced from the environment.

    Before the ``@`` of a URL the value is data and is percent-encoded, so that any password works;
    everywhere else it is inserted as it stands. Raises ConfigError for an unset name.
    """
    if "${" not in text:  # Nearly always; what follows is compiled when it is first needed.
        return text
    from urllib.parse import quote

    userinfo = re.match(r"[^/?#]*://[^/?#]*@", text)
    encoded_until = userinfo.end() if userinfo else 0

    def value(found: re.Match[str]) -> str:
        try:
            plain = os.environ[found[1]]
        except KeyError:
            raise ConfigError(f"the environment variable {found[1]} is not set") from None
        return quote(plain, safe="") if found.start() < encoded_until else plain

    return _VARIABLE.sub(value, text)


def redact(text: str) -> str:
    """Return ``text`` without the passwords of a URL, whether or not the URL is well-formed."""
    # Each in a time that grows with the text alone: errors are shown like this that quote rows.
    until = text.rfind("@") + 1
    shown = _PASSWORD.sub(r"\1***@", text[:until]) + text[until:]
    return _PARAMETER.sub(_without_secret, shown)


def _without_secret(parameter: re.Match[str]) -> str:
    name = parameter[1].lower()
    return f"{parameter[1]}***" if any(word in name for word in _SECRETS) else parameter[0]


def redact_url(text: str) -> str:
    """As ``redact``, for what was meant to be a URL, also where a scheme or a slash is missing."""
    return redact(text if "://" in text else re.sub(":.*@", ":***@", text, flags=re.DOTALL))
