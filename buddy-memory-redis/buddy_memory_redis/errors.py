"""The one place where the driver's errors become ours."""

from __future__ import annotations

import re
from asyncio import TimeoutError as AsyncTimeoutError
from collections.abc import Callable

from redis import exceptions as driver
from redis import sentinel
from redis.asyncio import sentinel as async_sentinel

from buddy.memory.errors import (
    AccessError,
    MemoryDbError,
    SchemaError,
    UnavailableError,
)

DRIVER_ERRORS: tuple[type[Exception], ...] = (
    # Not all of them have a common base.
    *(c for c in vars(driver).values() if isinstance(c, type) and issubclass(c, Exception)),
    OSError,
    AsyncTimeoutError,
)
"""What a client may raise; anything else is a mistake in a program."""

_NO_PRIMARY = (sentinel.MasterNotFoundError, async_sentinel.MasterNotFoundError)


def translate(error: BaseException) -> MemoryDbError:
    """Return our error for one of the driver's, which becomes its cause."""
    if isinstance(error, MemoryDbError):
        return error
    text = " ".join(str(part) for part in error.args)
    ours = _by_code(error, text) or _by_class(error, text)
    if isinstance(error, _NO_PRIMARY):
        error.args = (str(ours),)  # It is shown, too.
    ours.__cause__ = error
    return ours


def _unavailable(text: str) -> MemoryDbError:
    return UnavailableError("Redis", text or "no answer")


def _credentials(text: str) -> MemoryDbError:
    return AccessError(f"Redis refused the credentials: {text}")


def _no_credentials(text: str) -> MemoryDbError:
    return AccessError(
        "Redis wants a password and was given none: redis://:${PASSWORD}@host, or "
        "redis://user:${PASSWORD}@host"
    )


def _no_primary(text: str) -> MemoryDbError:
    """Say what is known; the driver's text shows its clients, up to redis-py 7 with passwords."""
    if "AuthenticationError" in text:
        return AccessError("The Sentinels refused the credentials")
    return _unavailable(text.partition(" : ")[0])


def _not_permitted(text: str) -> MemoryDbError:
    """Name the command that the user may not run, or else say what Redis said."""
    command = re.search(r"run the '([^']+)' command|command '([^']+)'", text)
    if command:
        name = (command[1] or command[2]).upper().replace("|", " ")
        return AccessError(f"This user of Redis may not run {name}: {text}")
    return AccessError(f"This user of Redis lacks a right: {text}")


def _wrong_type(text: str) -> MemoryDbError:
    return SchemaError(
        "One of the store's keys holds something else (WRONGTYPE).",
        "Use another prefix, or find and remove the key that is not ours.",
    )


def _index_lost(text: str) -> MemoryDbError:
    return SchemaError(
        "An index of the store is lost: a key was evicted, or deleted by hand. No row is.",
        "Call create(), which builds it anew; and see to it that Redis evicts nothing.",
    )


def _database(text: str) -> MemoryDbError:
    return SchemaError(f"Redis: {text}.", "Choose a database that the server has.")


_CODES: dict[str, Callable[[str], MemoryDbError]] = {
    "WRONGTYPE": _wrong_type,
    "INDEXLOST": _index_lost,
    "NOPERM": _not_permitted,
    "ACL failure": _not_permitted,
    "can't run this command": _not_permitted,
    "unknown command": _not_permitted,
    "WRONGPASS": _credentials,
    "NOAUTH": _no_credentials,
    "must be called with the client already authenticated": _no_credentials,
    "DB index is out of range": _database,
}
"""What stands in the text where the driver has no class for it, as inside scripts."""

_CLASSES: dict[type[BaseException], Callable[[str], MemoryDbError]] = {
    **dict.fromkeys(_NO_PRIMARY, _no_primary),
    driver.AuthenticationError: _credentials,
    driver.AuthenticationWrongNumberOfArgsError: _credentials,
    driver.AuthorizationError: _credentials,
    driver.NoPermissionError: _not_permitted,
    driver.OutOfMemoryError: lambda text: _unavailable(f"the server is full: {text}"),
    driver.ReadOnlyError: lambda text: _unavailable(f"the server is a replica: {text}"),
}


def _by_code(error: BaseException, text: str) -> MemoryDbError | None:
    code = f"{getattr(error, 'status_code', None) or ''} {text}"
    return next((make(text) for known, make in _CODES.items() if known in code), None)


def _by_class(error: BaseException, text: str) -> MemoryDbError:
    for known, make in _CLASSES.items():
        if isinstance(error, known):
            return make(text)
    # Everything that is left is the server's or the network's state: loading, failing over, busy.
    return _unavailable(text or type(error).__name__)
