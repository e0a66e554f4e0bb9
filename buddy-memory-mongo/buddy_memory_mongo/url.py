"""URLs and names: parsed and checked without any I/O, and without ever showing a password."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from buddy.memory.config import check_url, redact_url
from buddy.memory.errors import ConfigError

TIMEOUT = 15.0
"""Seconds that a call takes at most, unless told otherwise. An election takes up to 12 seconds."""

_MAX_MS = 999_999_999
"""The most that the driver takes: eleven days."""

_WAITS = ("serverSelectionTimeoutMS", "waitQueueTimeoutMS", "socketTimeoutMS")
"""The driver's limits of what a call waits for: a server, a connection, and an answer."""

_SCHEMES = ("mongodb", "mongodb+srv", "mongo")
_DATABASE = re.compile(r'[^\s.$/\\"\0]{1,63}')
_COLLECTION = re.compile(r"(?!system\.|\.)(?:(?!\.\.)[^$\0]){1,200}(?<!\.)", re.DOTALL)
_SRV_OPTION = re.compile(r"(?<=[?&])srv[A-Za-z]+=[^&#]*&?", re.IGNORECASE)


class Target(NamedTuple):
    """The URL to connect to, the database, and the client's options besides those of the URL."""

    url: str
    database: str
    client_options: dict[str, Any]
    call_seconds: float | None = None
    """How long a whole call may take; None where the URL has limits of its own."""

    @classmethod
    def parse(cls, db_url: Any, db_name: str, timeout: float | None = TIMEOUT) -> Target:
        """Return the target of ``db_url``; ``db_name`` is used where its path names no database."""
        if db_url is None:
            db_url = "mongodb://localhost"
        scheme, mark, rest = db_url.partition("://") if isinstance(db_url, str) else ("", "", "")
        if not mark or scheme.lower() not in _SCHEMES:
            raise ConfigError(
                f"{redact_url(str(db_url))!r} is not a MongoDB URL: mongodb://host/database"
            )
        srv = scheme.lower().endswith("+srv")
        check_url(db_url)
        parsed = _parse(rest, srv, redact_url(db_url))
        if parsed["collection"]:
            raise ConfigError("the URL's path is a database; add ?collection_name=… to the URL")
        options = {name.lower(): value for name, value in parsed["options"].items()}
        if options.get("w") == 0:
            raise ConfigError("w=0 is refused: unacknowledged writes may be lost")
        client_options = _limits(timeout, options)
        if "appname" not in options:
            client_options["appname"] = "buddy-memory"
        url = f"{'mongodb+srv' if srv else 'mongodb'}://{rest}"
        own = any(name.lower() in options for name in (*_WAITS, "timeoutMS"))
        return cls(url, parsed["database"] or db_name, client_options, None if own else timeout)


def _limits(timeout: float | None, options: dict[str, Any]) -> dict[str, Any]:
    """Return the driver's limits of time for ``timeout`` that the URL's ``options`` do not set."""
    if "timeoutms" in options:  # It limits whole calls, and overrides the others.
        return {}
    if timeout is None:  # Without a number, the driver waits for a server for 30 seconds.
        limits = {"serverSelectionTimeoutMS": _MAX_MS}
    else:
        limits = dict.fromkeys((*_WAITS, "connectTimeoutMS"), max(1, round(timeout * 1000)))
    return {name: ms for name, ms in limits.items() if name.lower() not in options}


def check_timeout(timeout: Any) -> None:
    """Raise ConfigError unless ``timeout`` is a number of seconds, or None."""
    is_number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    if timeout is not None and not (is_number and 0 < timeout <= _MAX_MS / 1000):
        raise ConfigError(f"timeout must be a number of seconds above 0 or None, not {timeout!r}")


def _parse(rest: str, srv: bool, shown: str) -> dict[str, Any]:
    # A +srv URL is parsed as a plain one: the driver would ask the DNS for it.
    text = _SRV_OPTION.sub("", rest) if srv else rest
    try:
        return dict(parse_uri(f"mongodb://{text}", warn=False))
    except (PyMongoError, ValueError, TypeError, OSError) as error:
        # The driver quotes what it could not read, which may be a part of the password.
        reason = "" if "@" in rest else f": {error}"
        raise ConfigError(
            f"{shown!r} is not a valid MongoDB URL{reason}. The form is mongodb://user:password@"
            "host:port/database?option=value, with user and password percent-encoded."
        ) from None


def check_client(client: Any, wanted: type) -> None:
    """Raise ConfigError unless ``client`` is a ``wanted`` whose writes are acknowledged."""
    if not isinstance(client, wanted):
        given = f"{type(client).__module__}.{type(client).__qualname__}"
        raise ConfigError(f"client must be a pymongo.{wanted.__name__}, not {given}")
    if not client.write_concern.acknowledged:  # type: ignore[attr-defined]
        raise ConfigError("a client with w=0 is refused: unacknowledged writes may be lost")


def check_names(database: Any, collection: Any) -> None:
    """Raise ConfigError unless both names are valid in MongoDB."""
    for what, name, valid in (
        ("database", database, _DATABASE),
        ("collection", collection, _COLLECTION),
    ):
        is_text = isinstance(name, str) and bool(name.strip()) and _is_unicode(name)
        if not is_text or not valid.fullmatch(name):
            raise ConfigError(f"{name!r:.80} is not a valid MongoDB {what} name")


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
