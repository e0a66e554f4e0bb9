"""Exit codes: what a script may branch on."""

from __future__ import annotations

from buddy.memory.errors import (
    AccessError,
    AmbiguousIdError,
    ConfigError,
    ConflictError,
    CorruptMemoryError,
    InvalidMemoryError,
    MemoryDbError,
    SchemaError,
    UnavailableError,
    UnsupportedError,
)

OK = 0
NO = 1
"""The answer is no: not found, a check failed, a copy is not complete."""
USAGE = 2
"""The command line or a config string is wrong."""
UNAVAILABLE = 3
"""The backend did not answer: worth a retry."""
ACCESS = 4
"""Credentials or rights are missing."""
DATA = 5
"""The data do not allow it: another layout, a wrong file, rows in the way, an ambiguous id."""
NOT_VERIFIED = 6
"""Nothing failed, and of some rule nothing could be tried."""
INTERRUPTED = 130

_BY_ERROR: dict[type[MemoryDbError], int] = {
    ConfigError: USAGE,
    UnsupportedError: USAGE,
    UnavailableError: UNAVAILABLE,
    AccessError: ACCESS,
    SchemaError: DATA,
    CorruptMemoryError: DATA,
    InvalidMemoryError: DATA,
    AmbiguousIdError: DATA,
    ConflictError: DATA,
}


def code_of(error: MemoryDbError) -> int:
    """Return the exit code for an error."""
    return next((code for kind, code in _BY_ERROR.items() if isinstance(error, kind)), DATA)
