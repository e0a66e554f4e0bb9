"""From the constructor's arguments to a SQLAlchemy URL."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from buddy.memory.config import redact_url
from buddy.memory.errors import ConfigError

_PARAMETERS = {"timeout", "detect_types", "cached_statements", "uri"}
_DRIVERS = ("sqlite", "sqlite+pysqlite", "sqlite+aiosqlite")


def to_url(db_url: Any, db_file: str | os.PathLike[str] | None) -> sa.URL:
    """Return the URL by the first given of ``db_url`` and ``db_file``, otherwise that of a database
    in memory. Raises ConfigError."""
    if db_url is not None:
        return _parse(db_url)
    if db_file is not None:
        return sa.URL.create("sqlite", database=str(Path(db_file).expanduser()))
    return sa.URL.create("sqlite")


def is_in_memory(url: sa.URL) -> bool:
    """Tell whether a URL names a database in memory."""
    database = url.database or ""
    return (
        database in ("", ":memory:") or ":memory:" in database or url.query.get("mode") == "memory"
    )


def _parse(db_url: Any) -> sa.URL:
    try:
        url = sa.make_url(db_url)
    except (exc.ArgumentError, ValueError, TypeError):
        raise ConfigError(f"{redact_url(str(db_url))!r} is not a database URL") from None
    if url.drivername not in _DRIVERS:
        raise ConfigError(f"a SQLite URL begins with sqlite://, not with {url.drivername}://")
    if url.host or url.username:
        raise ConfigError(
            "a SQLite URL has no host: sqlite:///relative/file.db or sqlite:////absolute/file.db"
        )
    _check_parameters(url)
    database = url.database
    if database and database.startswith("~"):
        database = str(Path(database).expanduser())
    return url.set(drivername="sqlite", database=database)


def _check_parameters(url: sa.URL) -> None:
    """Refuse what the driver would ignore, unless the whole query is for a ``file:`` URI."""
    unknown = set(url.query) - _PARAMETERS
    if unknown and "uri" not in url.query:
        raise ConfigError(
            f"a SQLite URL has no parameter {', '.join(sorted(unknown))}; the driver knows "
            f"{', '.join(sorted(_PARAMETERS))}"
        )
