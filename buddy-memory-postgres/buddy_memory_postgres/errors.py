"""Errors of PostgreSQL, PgBouncer and psycopg in ours; the only place that translates.

By SQLSTATE, or by text for those that have none, because no session came about.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import psycopg
from sqlalchemy import exc

from buddy.memory.errors import (
    AccessError,
    ConfigError,
    CorruptMemoryError,
    MemoryDbError,
    SchemaError,
    TooLargeError,
    UnavailableError,
)
from buddy.memory.storage.sql import Fault

NAME = "PostgreSQL"

MAX_BYTES = 0x0FFFFFFF
"""What jsonb can hold: the length of a value has 28 bits (JENTRY_OFFLENMASK in its source)."""

Meaning = MemoryDbError | Fault

_UNIQUE = "23505"

_EXHAUSTED = "This connection is closed"
"""What SQLAlchemy's pool says when it has replaced a connection twice and gives up."""


def translate(error: Exception) -> Meaning | None:
    """Return what an error of the driver or the pool means, or None when it is neither's."""
    if isinstance(error, exc.TimeoutError):
        return UnavailableError(NAME, "no connection of the pool came free in time")
    if isinstance(error, exc.InvalidRequestError) and str(error) == _EXHAUSTED:
        return UnavailableError(NAME, "new connections are lost before they can be used")
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, UnicodeError):
        return ConfigError(f"{NAME}: use client_encoding=utf8 and a valid host name ({cause})")
    if not isinstance(cause, (psycopg.Error, psycopg.Warning)):
        return None
    state = getattr(cause, "sqlstate", None)
    return _by_state(cause, state) if state else _by_text(cause)


def _by_state(error: psycopg.Error | psycopg.Warning, state: str) -> Meaning:
    if state == _UNIQUE and (_diagnosis(error, "constraint_name") or "").startswith("pg_"):
        return Fault.EXISTS  # Two sessions wrote to the catalog at once.
    if state == "0A000" and "cached plan" in str(error):
        return Fault.SERIALIZATION  # Nothing was done; its connection is closed.
    meaning = _STATES.get(state) or _CLASSES.get(state[:2]) or _unavailable
    # The server's message without its detail, which may hold stored values.
    text = _diagnosis(error, "message_primary") or str(error)
    return meaning if isinstance(meaning, Fault) else meaning(text)


def _by_text(error: psycopg.Error | psycopg.Warning) -> Meaning:
    if isinstance(error, psycopg.DataError):
        return Fault.DAMAGED_ROW  # psycopg could not make a Python object of what it received.
    text = str(error)
    for pattern, meaning in _TEXTS.items():
        if re.search(pattern, text):
            return meaning(text)
    return _unavailable(text)


def _diagnosis(error: psycopg.Error | psycopg.Warning, field: str) -> str | None:
    return getattr(error.diag, field) if isinstance(error, psycopg.Error) else None


def _unavailable(text: str) -> MemoryDbError:
    return UnavailableError(NAME, text)


def _no_access(text: str) -> MemoryDbError:
    return AccessError(f"{NAME}: {text}.")


def _wrong_config(text: str) -> MemoryDbError:
    return ConfigError(f"{NAME}: {text}")


def _prepared(text: str) -> MemoryDbError:
    return ConfigError(
        f"{NAME}: {text}. A pooler stands between that gives statements to other sessions: pass "
        "prepare=False."
    )


def _not_utf8(text: str) -> MemoryDbError:
    return ConfigError(f"{NAME}: {text}. The database needs ENCODING 'UTF8'.")


def _not_ours(text: str) -> MemoryDbError:
    return SchemaError(
        f"{NAME} refuses what our own tables take: {text}.", "Choose another table_name."
    )


def _damaged(text: str) -> MemoryDbError:
    return CorruptMemoryError("the database", text)


def _too_large(text: str) -> MemoryDbError:
    """Return the error with the size and limit that the server names, if it names them."""
    numbers = re.search(r"size (\d+) exceeds .* (\d+)|requires (\d+) bytes.* (\d+)", text)
    if numbers is None:
        return TooLargeError(MAX_BYTES + 1, MAX_BYTES)
    size, limit = (int(number) for number in numbers.groups() if number)
    return TooLargeError(size, limit)


_STATES: dict[str, Fault | Callable[[str], MemoryDbError]] = {
    "42P01": Fault.NO_TABLE,
    "3F000": Fault.NO_TABLE,  # the schema
    "42703": Fault.NO_COLUMN,
    "42P06": Fault.EXISTS,  # schema
    "42P07": Fault.EXISTS,  # table
    "42710": Fault.EXISTS,  # object
    "40001": Fault.SERIALIZATION,  # serialization failure
    "40P01": Fault.SERIALIZATION,  # deadlock
    "3D000": _wrong_config,  # no such database
    "42501": _no_access,
    "25006": _unavailable,  # a standby, which may become the primary
    "22003": Fault.DAMAGED_ROW,  # a version that counts no further
    "22021": _not_utf8,
    "22P05": _not_utf8,
    "54000": _too_large,
    "54001": _too_large,
    "26000": _prepared,  # a prepared statement that is not there
    "42P05": _prepared,  # or is there already
    "55006": _unavailable,  # object in use
    "55P03": _unavailable,  # lock not available
    "XX001": _damaged,
    "XX002": _damaged,
}

_CLASSES: dict[str, Callable[[str], MemoryDbError]] = {
    "08": _unavailable,
    "0A": _not_ours,
    "0L": _no_access,
    "0P": _no_access,
    "22": _not_ours,  # data that the columns of our tables would take
    "23": _not_ours,  # constraints that our tables do not have
    "28": _no_access,
    "2F": _not_ours,  # a trigger of other software
    "38": _not_ours,
    "39": _not_ours,
    "42": _not_ours,
    "44": _not_ours,
    "54": _too_large,
    "55": _not_ours,
    "P0": _not_ours,
}
"""By the first two characters; any other class is a failure of the server."""

_TEXTS: dict[str, Callable[[str], MemoryDbError]] = {
    r'role ".*" (does not exist|is not permitted to log in)|no such user': _no_access,
    r"authentication failed|no password supplied|pg_hba\.conf|permission denied": _no_access,
    r"certificate verify failed|does not match host name|valid client certificate": _no_access,
    r'database ".*" does not exist|no such database': _wrong_config,
    r"invalid (connection option|port number|integer value|[a-z_]+ value)": _wrong_config,
    r"unsupported startup parameter|unrecognized configuration parameter": _wrong_config,
    r"does not support SSL|SSL required|(certificate|private key) file": _wrong_config,
    r"definition of service|service file": _wrong_config,
}
"""By what stands in the message, in this order."""
