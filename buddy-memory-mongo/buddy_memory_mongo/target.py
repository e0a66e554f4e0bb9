"""From a URL to a database, checked without any I/O, and without ever showing a password."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from buddy.memory.config import redact, redact_url
from buddy.memory.errors import ConfigError

SERVER_SELECTION_MS = 15_000
"""How long a call looks for a server before it raises UnavailableError, unless the URL tells: the
time of an election, and half of the driver's own, which is long when somebody waits."""

_SCHEMES = ("mongodb", "mongodb+srv", "mongo")
_DATABASE = re.compile(r'[^\s.$/\\"\0]{1,63}')
_COLLECTION = re.compile(r"(?!system\.|\.)(?:(?!\.\.)[^$\0]){1,200}(?<!\.)", re.DOTALL)
_SRV_OPTION = re.compile(r"(?<=[?&])srv[A-Za-z]+=[^&#]*&?", re.IGNORECASE)


class Target(NamedTuple):
    """Where to connect: the URL, the database, and what the client is told beyond the URL."""

    url: str
    database: str
    client_options: dict[str, Any]

    @classmethod
    def parse(cls, db_url: Any, db_name: str) -> Target:
        """Return the target of ``db_url``; ``db_name`` counts where its path names no database."""
        if db_url is None:
            db_url = "mongodb://localhost"
        scheme, mark, rest = db_url.partition("://") if isinstance(db_url, str) else ("", "", "")
        if not mark or scheme.lower() not in _SCHEMES:
            raise ConfigError(
                f"{redact_url(str(db_url))!r} is not a MongoDB URL: mongodb://host/database"
            )
        srv = scheme.lower().endswith("+srv")
        parsed = _parse(rest, srv, redact(db_url))
        if parsed["collection"]:
            raise ConfigError("the URL's path is a database; add ?collection_name=… to the URL")
        options = {name.lower(): value for name, value in parsed["options"].items()}
        if options.get("w") == 0:
            raise ConfigError("w=0 is refused: a write that nobody acknowledges may be lost")
        client_options: dict[str, Any] = {}
        if "serverselectiontimeoutms" not in options:
            client_options["serverSelectionTimeoutMS"] = SERVER_SELECTION_MS
        if "appname" not in options:
            client_options["appname"] = "buddy-memory"
        url = f"{'mongodb+srv' if srv else 'mongodb'}://{rest}"
        return cls(url, parsed["database"] or db_name, client_options)


def _parse(rest: str, srv: bool, shown: str) -> dict[str, Any]:
    # A +srv URL is parsed as a plain one: the driver would ask the DNS for it.
    text = _SRV_OPTION.sub("", rest) if srv else rest
    try:
        return dict(parse_uri(f"mongodb://{text}", warn=False))
    except (PyMongoError, ValueError, TypeError, OSError) as error:
        # The driver quotes what it could not read, which may be a part of the password.
        reason = "" if "@" in rest else f": {error}"
        raise ConfigError(
            f"{shown!r} is not a legal MongoDB URL{reason}. Its form is mongodb://user:password@"
            "host:port/database?option=value, with user and password percent-encoded."
        ) from None


def check_client(client: Any, wanted: type) -> None:
    """Raise ConfigError unless ``client`` is a ``wanted`` whose writes are acknowledged."""
    if not isinstance(client, wanted):
        given = f"{type(client).__module__}.{type(client).__qualname__}"
        raise ConfigError(f"client must be a pymongo.{wanted.__name__}, not {given}")
    if not client.write_concern.acknowledged:  # type: ignore[attr-defined]
        raise ConfigError("a client with w=0 is refused: a write that nobody acknowledges is lost")


def check_names(database: Any, collection: Any) -> None:
    """Raise ConfigError unless both names are legal in MongoDB."""
    for what, name, legal in (
        ("database", database, _DATABASE),
        ("collection", collection, _COLLECTION),
    ):
        if not isinstance(name, str) or not legal.fullmatch(name) or not _is_unicode(name):
            raise ConfigError(f"{name!r:.80} is no legal name of a MongoDB {what}")


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
