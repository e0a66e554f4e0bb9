"""From a URL to what SQLAlchemy takes."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import exc

from buddy.memory.config import redact_url
from buddy.memory.errors import ConfigError

_DRIVER = "mariadb+pymysql"


def parse(db_url: object) -> sa.URL:
    """Return the URL of an engine. Raises ConfigError."""
    if not isinstance(db_url, str):
        raise ConfigError("give db_url, such as mariadb://user:password@host/database")
    try:
        url = sa.make_url(db_url)
    except (exc.ArgumentError, ValueError):
        raise ConfigError(f"{redact_url(db_url)!r} is not a MariaDB URL") from None
    if url.drivername not in ("mariadb", _DRIVER) or not url.database:
        raise ConfigError("a MariaDB URL is mariadb://user:password@host:port/database")
    return url.set(drivername=_DRIVER)
