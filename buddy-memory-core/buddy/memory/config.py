"""Config strings: what names a database, parsed but not yet looked up.

A config is a URL (``sqlite:///memory.db?table_name=notes``), a backend's name (``sqlite``), a class
(``acme_memory.v2:AcmeMemoryDb``) or a mapping (``{"backend": "redis", "prefix": "x"}``).
``${NAME}`` in any string is filled from the environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from buddy.memory.errors import ConfigError
from buddy.memory.known_backends import FIRST_PARTY
from buddy.memory.secrets import check_url, redact, redact_url

_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+._-]*)://")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9+._-]*")
_FILE = re.compile(r"(?:(?:sqlite|file):/*)?((?:[A-Za-z]:[\\/])?[^:@?]+\.(?:db3?|sqlite3?))", re.I)
_CLASS = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


__all__ = ["Target", "check_url", "expand", "file_url", "parse", "redact", "redact_url"]


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
        path = config if isinstance(config, Path) else None
        hint = f": for this file, 'sqlite:///{path}'" if path else ""
        raise ConfigError(
            f"a database is named by a string or a mapping, not {type(config).__name__}{hint}"
        )
    text = expand(config).strip()
    if scheme := _SCHEME.match(text):
        check_url(text)
        return Target(scheme[1].lower(), text, {})
    if _NAME.fullmatch(text):
        return Target(text.lower(), None, {})
    file = file_url(text)
    if _CLASS.fullmatch(text) and not file:
        return Target(text, None, {})
    shown = text if file else redact_url(text)
    raise ConfigError(
        f"{shown!r:.120} names no database. Give a URL such as {file or _example(text)}, the name "
        "of a backend, or a class as package.module:Class."
    )


def file_url(text: str) -> str | None:
    """Return the URL for a text that looks like the name of a SQLite file, or None."""
    file = _FILE.fullmatch(text)
    return f"sqlite:///{file[1]}" if file else None


def _example(text: str) -> str:
    """Return a URL of the backend whose name and a colon begin ``text``, else one of SQLite."""
    name = text.partition(":")[0].lower()
    is_server = name in FIRST_PARTY and name not in ("memory", "sqlite")
    return f"{name}://…" if is_server else "sqlite:///memory.db"


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

    Before the ``@`` of a URL and in its query the value is data and is percent-encoded, so that any
    password works; everywhere else it is inserted as it stands. Raises ConfigError for an unset
    name, and for an empty value outside of user, password and query: ``sqlite:///${FILE}`` would
    be another database.
    """
    if "${" not in text:  # Nearly always; what follows is compiled when it is first needed.
        return text
    from urllib.parse import quote

    userinfo = re.match(r"[^/?#]*://[^/?#]*@", text)
    encoded_until = userinfo.end() if userinfo else 0
    query = text.find("?") if "://" in text else -1

    def value(found: re.Match[str]) -> str:
        try:
            plain = os.environ[found[1]]
        except KeyError:
            raise ConfigError(f"the environment variable {found[1]} is not set") from None
        is_data = found.start() < encoded_until or 0 <= query < found.start()
        if not plain and not is_data:
            raise ConfigError(f"the environment variable {found[1]} is empty")
        return quote(plain, safe="") if is_data else plain

    return _VARIABLE.sub(value, text)
