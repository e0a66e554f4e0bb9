"""Everything that can go wrong, as one tree.

    MemoryDbError
    ├── ConfigError (ValueError)            the config string or an option is wrong
    │   ├── UnknownBackendError (LookupError)
    │   ├── AmbiguousBackendError           two distributions claim one name
    │   └── BackendLoadError (ImportError)  a plugin or its driver failed to import
    ├── InvalidMemoryError (ValueError)     the row cannot be stored
    │   └── TooLargeError
    ├── ConflictError                       if_version did not match
    ├── AmbiguousIdError (LookupError)      several users have a row with this id
    ├── UnavailableError (ConnectionError)  unreachable, timed out, interrupted: worth a retry
    │   └── EmbeddingError                  the embedder failed, or there are no vectors to search
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

    ``stored`` names the rows that a failed call left stored, as pairs of user (None: nobody) and
    id; it is empty when nothing of the call was stored, which is always so for bulk writes on
    backends with transactions.
    """

    stored: tuple[tuple[str | None, str], ...] = ()

    def __init__(self, message: str, *facts: Any) -> None:
        super().__init__(message)
        # What the class is called with: a pickled error is made anew from its facts.
        self._facts = facts or (message,)

    def __str__(self) -> str:
        text = super().__str__()
        if self.stored:
            rows = "1 row" if len(self.stored) == 1 else f"{len(self.stored)} rows"
            text += f" (of this call, {rows} had been stored before: see .stored)"
        return text

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._facts, {"stored": self.stored}


class ConfigError(MemoryDbError, ValueError):
    """The config string, an option or an argument is wrong: ``ConfigError(what_to_do)``."""


class UnknownBackendError(ConfigError, LookupError):
    """No backend has that name; says what to install, or which are known."""

    def __init__(
        self, name: str, what: str = "backend", known: Iterable[str] = (), hint: str = ""
    ) -> None:
        names = sorted(known)
        hint = f"{hint} " if hint else ""
        known_names = f"Known: {', '.join(names)}." if names else ""
        text = f"No {what} is called {name!r}. {hint}{known_names}".strip()
        super().__init__(text, name, what, names, hint.strip())


class AmbiguousBackendError(ConfigError):
    """Several distributions claim one name; ``claims`` names them."""

    def __init__(self, name: str, claims: Iterable[str]) -> None:
        self.claims = tuple(claims)
        text = (
            f"The backend name {name!r} is claimed by {' and by '.join(self.claims)}. Uninstall "
            f"one, call register({name!r}, …), or set BUDDY_MEMORY_PREFER={name}=DISTRIBUTION."
        )
        super().__init__(text, name, self.claims)


class BackendLoadError(ConfigError, ImportError):
    """A backend or its driver, or a plugin, failed to import; the cause is kept."""

    def __init__(self, name: str, distribution: str, reason: str, what: str = "backend") -> None:
        text = f"The {what} {name!r} of {distribution} could not be loaded: {reason}"
        super().__init__(text, name, distribution, reason, what)


class InvalidMemoryError(MemoryDbError, ValueError):
    """The row cannot be stored. ``path`` names the bad value, for example ``memory.topics[2]``."""

    def __init__(self, reason: str, path: str = "") -> None:
        self.path = path
        super().__init__(f"{path}: {reason}" if path else reason, reason, path)


class TooLargeError(InvalidMemoryError):
    """The row exceeds what the backend holds; ``size`` and ``limit`` are in bytes."""

    def __init__(self, size: int, limit: int) -> None:
        self.size, self.limit, self.path = size, limit, ""
        text = f"The row takes {size:,} bytes; this backend stores at most {limit:,}."
        MemoryDbError.__init__(self, f"{text} It was not stored.", size, limit)


class ConflictError(MemoryDbError):
    """Somebody else wrote first; ``expected`` and ``actual`` are versions, 0 without a row."""

    def __init__(self, id: str, expected: int, actual: int) -> None:
        self.id, self.expected, self.actual = id, expected, actual
        text = (
            f"{id!r} is at version {actual}, not {expected} (0 = no row). The row was not changed: "
        )
        super().__init__(f"{text}read it again and repeat the change.", id, expected, actual)


class AmbiguousIdError(MemoryDbError, LookupError):
    """Several users have a row with this id, and the call names none. Does not tell who."""

    def __init__(self, id: str) -> None:
        self.id = id
        text = f"Several users have a row with the id {id!r}: pass user_id= (NOBODY for a row"
        super().__init__(f"{text} without a user). Nothing was read or changed.", id)


class UnavailableError(MemoryDbError, ConnectionError):
    """The backend did not answer: worth a retry."""

    def __init__(self, backend: str, detail: str) -> None:
        super().__init__(f"{backend} is unavailable: {detail}", backend, detail)


class EmbeddingError(UnavailableError):
    """The embedder failed, or no row has a vector of its model: ``EmbeddingError(detail)``."""

    def __init__(self, detail: str) -> None:
        MemoryDbError.__init__(self, detail, detail)


class AccessError(MemoryDbError, PermissionError):
    """Credentials or rights are missing.

    ``statement`` is what somebody with the rights has to run, or None.
    """

    def __init__(self, detail: str, statement: str | None = None) -> None:
        self.statement = statement
        text = f"{detail} Ask an administrator to run:\n{statement}" if statement else detail
        super().__init__(text, detail, statement)


class SchemaError(MemoryDbError):
    """The table is not ours or is old; ``fix`` says what to call or to choose."""

    def __init__(self, wrong: str, fix: str = "") -> None:
        super().__init__(f"{wrong} {fix}".strip(), wrong, fix)


class CorruptMemoryError(MemoryDbError):
    """A stored row cannot be decoded; ``id`` names it, ``reason`` tells what is wrong."""

    def __init__(self, id: str, reason: str) -> None:
        self.id, self.reason = id, reason
        super().__init__(f"The stored row {id!r} cannot be decoded: {reason}", id, reason)


class ClosedError(MemoryDbError):
    """Used after ``close()``."""

    def __init__(self, name: str) -> None:
        super().__init__(f"This {name} was closed. Open another one.", name)


class UnsupportedError(MemoryDbError, NotImplementedError):
    """The backend lacks a capability."""

    def __init__(self, backend: str, capability: str, remedy: str = "") -> None:
        text = f"{backend} does not support {capability}. {remedy}".strip()
        super().__init__(text, backend, capability, remedy)
