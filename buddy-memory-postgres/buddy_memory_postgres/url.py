"""From URL and options to what psycopg takes."""

from __future__ import annotations

from math import ceil, inf
from typing import Any, NamedTuple

import psycopg
from psycopg.conninfo import conninfo_to_dict

from buddy.memory.config import check_url, redact_url
from buddy.memory.errors import ConfigError

_SCHEMES = ("postgresql+psycopg", "postgresql", "postgres", "postgres+psycopg")
_DEFAULTS = {
    "client_encoding": "utf8",
    "fallback_application_name": "buddy-memory",
    # A host that vanished is noticed after a minute and not after the system's two hours.
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
}


class Options(NamedTuple):
    """What engines are shared by: parameters of libpq, and how connections are kept."""

    parameters: tuple[tuple[str, Any], ...]
    pool_size: int
    prepare: bool | None
    timeout: float | None


def read_options(db_url: Any, pool_size: Any, prepare: Any, timeout: Any) -> Options:
    """Return the options of an engine. Raises ConfigError."""
    if type(pool_size) is not int or pool_size < 1:
        raise ConfigError(f"pool_size must be an int >= 1, not {pool_size!r:.80}")
    if prepare not in (None, True, False):
        raise ConfigError(f"prepare must be True, False or None, not {prepare!r:.80}")
    is_number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    if timeout is not None and not (is_number and 0 < timeout < inf):
        raise ConfigError(f"timeout must be a number of seconds > 0 or None, not {timeout!r:.80}")
    parameters = {**_limits(timeout), **parse(db_url)}
    return Options(tuple(sorted(parameters.items())), pool_size, prepare, timeout)


def _limits(timeout: float | None) -> dict[str, str]:
    """Return the parameters of libpq by which connecting, and a host that vanished, take no more
    than ``timeout`` seconds."""
    if timeout is None:
        return {}
    return {
        "connect_timeout": str(ceil(timeout)),
        "tcp_user_timeout": str(ceil(timeout * 1000)),
    }


def parse(db_url: Any) -> dict[str, Any]:
    """Return the parameters for libpq that a URL names, and our defaults. Raises ConfigError."""
    if not isinstance(db_url, str):
        raise ConfigError("give db_url, such as postgresql://user:password@host/db, or db_engine")
    scheme, separator, rest = db_url.partition("://")
    if scheme.lower() not in _SCHEMES:
        found = f", not with {scheme}://" if separator else ""
        raise ConfigError(
            f"a PostgreSQL URL begins with postgresql:// or postgresql+psycopg://{found}"
        )
    check_url(db_url)
    try:
        parameters = conninfo_to_dict(f"postgresql://{rest}")
    except (psycopg.Error, ValueError) as error:
        # The reason quotes a part of the query: where nothing of that is hidden, it may be shown.
        query = rest.partition("?")[2]
        reason = f": {str(error).strip()}" if query and redact_url(db_url).endswith(query) else ""
        raise ConfigError(f"{redact_url(db_url)!r} is not a PostgreSQL URL{reason}") from None
    return {**_DEFAULTS, **parameters}
