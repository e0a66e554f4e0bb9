"""The driver's errors in those of buddy.memory.errors: the only place that translates."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from buddy.memory.errors import (
    AccessError,
    CorruptMemoryError,
    MemoryDbError,
    UnavailableError,
)


@contextmanager
def translated() -> Generator[None]:
    """Raise what a driver's error means. An empty answer means that the driver answered."""
    try:
        yield
    except MemoryDbError:
        raise  # Ours already. Some of them are OSErrors or ValueErrors, too.
    except (NotADirectoryError, PermissionError) as error:
        raise AccessError(f"newname: {error}") from error
    except OSError as error:
        raise UnavailableError("newname", str(error)) from error
    except ValueError as error:
        raise CorruptMemoryError("the file", str(error)) from error
