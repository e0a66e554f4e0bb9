"""The driver's errors in ours: the only place that translates."""

from __future__ import annotations

from collections.abc import Callable

import pymysql
from sqlalchemy import exc

from buddy.memory.errors import (
    AccessError,
    ConfigError,
    InvalidMemoryError,
    MemoryDbError,
    TooLargeError,
    UnavailableError,
)
from buddy.memory.storage.sql import Fault

NAME = "MariaDB"

MAX_BYTES = 16_000_000
"""A little less than ``max_allowed_packet``, which is 16 MiB by default."""

MAX_KEY = 2048
"""Bytes of an id or a user."""


def key_too_long() -> InvalidMemoryError:
    """Return the error for an id or a user that no column takes."""
    return InvalidMemoryError(f"an id or a user has over {MAX_KEY} bytes", "id")


def translate(error: Exception) -> MemoryDbError | Fault | None:
    """Return what an error of the driver or the pool means, or None when it is neither's."""
    if isinstance(error, exc.TimeoutError):
        return UnavailableError(NAME, "no connection of the pool came free in time")
    cause = getattr(error, "orig", None) or error
    if not isinstance(cause, (pymysql.Error, pymysql.Warning)):
        return None
    code, text = cause.args[0] if cause.args else 0, f"{NAME}: {cause.args[-1:]}"
    meaning = _MEANINGS.get(code)
    if meaning is None:
        return UnavailableError(NAME, str(cause))
    return meaning if isinstance(meaning, Fault) else meaning(text)


# https://mariadb.com/kb/en/mariadb-error-code-reference/
_MEANINGS: dict[int, Fault | Callable[[str], MemoryDbError]] = {
    1050: Fault.EXISTS,
    1146: Fault.NO_TABLE,
    1932: Fault.NO_TABLE,  # It is being dropped.
    1054: Fault.NO_COLUMN,
    1020: Fault.SERIALIZATION,
    1213: Fault.SERIALIZATION,  # A deadlock: this transaction was undone for another one.
    1044: AccessError,
    1045: AccessError,
    1142: AccessError,
    1143: AccessError,
    1227: AccessError,
    1049: ConfigError,  # There is no such database.
    1153: lambda text: TooLargeError(MAX_BYTES + 1, MAX_BYTES),
    1406: lambda text: key_too_long(),
}
