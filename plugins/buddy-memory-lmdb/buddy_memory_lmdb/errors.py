"""The driver's errors in ours: the only place that translates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import lmdb

from buddy.memory.errors import (
    AccessError,
    CorruptMemoryError,
    MemoryDbError,
    SchemaError,
    UnavailableError,
)


def translate(error: Exception, path: Path) -> MemoryDbError:
    """Return what an error of the driver, or of the operating system, means."""
    text = str(error)
    for kind, meaning in _MEANINGS.items():
        if isinstance(error, kind):
            return meaning(f"{path}: {text}")
    if any(part in text for part in ("ermission denied", "ot a directory", "ead-only")):
        return AccessError(f"LMDB: {path}: {text}")
    return UnavailableError("LMDB", text)


_MEANINGS: dict[type[Exception], Callable[[str], MemoryDbError]] = {
    lmdb.MapFullError: lambda text: UnavailableError("LMDB", f"{text}: pass a larger map_size"),
    lmdb.ReadonlyError: AccessError,
    lmdb.CorruptedError: lambda text: CorruptMemoryError("the database file", text),
    lmdb.PageNotFoundError: lambda text: CorruptMemoryError("the database file", text),
    lmdb.InvalidError: lambda text: SchemaError(text, "Name another folder; nothing was changed."),
    lmdb.VersionMismatchError: lambda text: SchemaError(text, "Name another folder."),
}
