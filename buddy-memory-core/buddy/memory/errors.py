"""Everything that can go wrong, as one tree.

    MemoryDbError
    ├── ConfigError (ValueError)            the config string or an option is wrong
    │   ├── UnknownBackendError (LookupError)
    │   ├── AmbiguousBackendError           two distributions claim one name
    │   └── BackendLoadError (ImportError)  a plugin or its driver failed to import
    ├── InvalidMemoryError (ValueError)     the row cannot be stored
    │   └── TooLargeError
    ├── ConflictError                       if_version did not match
    ├── OwnerMismatchError (PermissionError)
    ├── UnavailableError (ConnectionError)  unreachable, timed out, interrupted: worth a retry
    ├── AccessError (PermissionError)       credentials or rights
    ├── SchemaError                         the table is not ours, or is old
    ├── CorruptMemoryError                  a stored row cannot be decoded
    ├── ClosedError                         used after close()
    └── UnsupportedError (NotImplementedError)  this backend has no such capability

Errors build their message from facts, survive pickling, and keep the driver's own exception
as ``__cause__``. No message ever holds a password.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class MemoryDbError(Exception):
    """Base of every error that a memory database raises.

    ``stored_ids`` names the rows that a failed bulk write left stored; it is empty when nothing
    of the call was stored, which is always so for backends with transactions.
    """

    stored_ids: tuple[str, ...] = ()

    def __init__(self, *facts: Any) -> None:
        self.facts = facts
        super().__init__(self._message(*facts))

    def _message(self, *facts: Any) -> str:
        return str(facts[0]) if facts else type(self).__name__

    def __str__(self) -> str:
        text = self._message(*self.facts)
        if self.stored_ids:
            text += f" ({len(self.stored_ids)} rows of this call are stored, see .stored_ids)"
        return text

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.facts, {"stored_ids": self.stored_ids}


class ConfigError(MemoryDbError, ValueError):
    """The config string, an option or an argument is wrong: ``ConfigError(what_to_do)``."""


class UnknownBackendError(ConfigError, LookupError):
    """No backend has that name: ``UnknownBackendError(name, what, known, hint)``."""

    def _message(
        self, name: str, what: str = "backend", known: Iterable[str] = (), hint: str = ""
    ) -> str:
        names = ", ".join(sorted(known)) or "none"
        return f"No {what} is called {name!r}. {hint + ' ' if hint else ''}Known: {names}."


class AmbiguousBackendError(ConfigError):
    """Distributions disagree about a name: ``AmbiguousBackendError(name, claims)``."""

    def _message(self, name: str, claims: Iterable[str]) -> str:
        return (
            f"The backend name {name!r} is claimed by {' and by '.join(claims)}. Uninstall one, call "
            f"register({name!r}, …), or set BUDDY_MEMORY_PREFER={name}=DISTRIBUTION."
        )


class BackendLoadError(ConfigError, ImportError):
    """A backend failed to import: ``BackendLoadError(name, distribution, reason)``."""

    def _message(self, name: str, distribution: str, reason: str) -> str:
        return f"The backend {name!r} of {distribution} could not be loaded: {reason}"


class InvalidMemoryError(MemoryDbError, ValueError):
    """The row cannot be stored: ``InvalidMemoryError(reason, path)``.

    ``path`` names the bad value, for example ``memory.topics[2]``.
    """

    def __init__(self, reason: str, path: str = "") -> None:
        self.path = path
        super().__init__(reason, path)

    def _message(self, reason: str, path: str = "") -> str:
        return f"{path}: {reason}" if path else reason


class TooLargeError(InvalidMemoryError):
    """The row exceeds what the backend holds: ``TooLargeError(size, limit)``, both in bytes."""

    def __init__(self, size: int, limit: int) -> None:
        self.size, self.limit, self.path = size, limit, ""
        MemoryDbError.__init__(self, size, limit)

    def _message(self, size: int, limit: int) -> str:  # type: ignore[override]
        return f"The row takes {size:,} bytes; this backend stores at most {limit:,}. Nothing was stored."


class ConflictError(MemoryDbError):
    """Somebody else wrote first: ``ConflictError(id, expected, actual)``; version 0 = no row."""

    def __init__(self, id: str, expected: int, actual: int) -> None:
        self.id, self.expected, self.actual = id, expected, actual
        super().__init__(id, expected, actual)

    def _message(self, id: str, expected: int, actual: int) -> str:
        return (
            f"{id!r} is at version {actual}, not {expected} (0 = no row). Nothing was changed; "
            "read the row again and repeat the change."
        )


class OwnerMismatchError(MemoryDbError, PermissionError):
    """Another user owns the id: ``OwnerMismatchError(id)``. Does not tell who."""

    def __init__(self, id: str) -> None:
        self.id = id
        super().__init__(id)

    def _message(self, id: str) -> str:
        return f"{id!r} belongs to another user. Nothing was changed."


class UnavailableError(MemoryDbError, ConnectionError):
    """The backend did not answer: ``UnavailableError(backend, detail)``. Worth a retry."""

    def _message(self, backend: str, detail: str) -> str:
        return f"{backend} is unavailable: {detail}"


class AccessError(MemoryDbError, PermissionError):
    """Credentials or rights are missing: ``AccessError(detail, statement)``.

    ``statement`` is what somebody with the rights has to run, or None.
    """

    def __init__(self, detail: str, statement: str | None = None) -> None:
        self.statement = statement
        super().__init__(detail, statement)

    def _message(self, detail: str, statement: str | None = None) -> str:
        return f"{detail} Have this run by somebody who may:\n{statement}" if statement else detail


class SchemaError(MemoryDbError):
    """The table is not ours or is old: ``SchemaError(what_is_wrong, fix)``."""

    def _message(self, wrong: str, fix: str = "") -> str:
        return f"{wrong} {fix}".strip()


class CorruptMemoryError(MemoryDbError):
    """A stored row cannot be decoded: ``CorruptMemoryError(id, reason)``."""

    def __init__(self, id: str, reason: str) -> None:
        self.id = id
        super().__init__(id, reason)

    def _message(self, id: str, reason: str) -> str:
        return f"The stored row {id!r} cannot be decoded: {reason}"


class ClosedError(MemoryDbError):
    """Used after ``close()``: ``ClosedError(name)``."""

    def _message(self, name: str) -> str:
        return f"This {name} was closed. Open another one."


class UnsupportedError(MemoryDbError, NotImplementedError):
    """The backend lacks a capability: ``UnsupportedError(backend, capability, remedy)``."""

    def _message(self, backend: str, capability: str, remedy: str = "") -> str:
        return f"{backend} does not support {capability}. {remedy}".strip()
