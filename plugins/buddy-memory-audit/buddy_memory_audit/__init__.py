"""An audit log: who did what to which rows, when, and with which result. Never what was in them.

One JSON object for each operation, one line each, in a file that is only ever appended to.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from datetime import datetime, timezone
from pathlib import Path
from threading import Lock
from time import perf_counter
from types import ModuleType
from typing import Any

from buddy.memory.hookspecs import Operation, hookimpl
from buddy.memory.storage.record import Reach, Scope

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows: lines of several processes are whole, torn ones are not healed.
    fcntl = None

__all__ = ["AuditLog", "acting_as"]

_actor: ContextVar[str | None] = ContextVar("buddy_memory_actor", default=None)


@contextmanager
def acting_as(actor: str) -> Generator[None]:
    """Say who acts in this context; it holds for this thread, or this task."""
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


class AuditLog:
    """The plugin. Each operation is one line of ``file``, written when the operation has ended.

    With ``fsync`` a line is on the disk before the call returns. A line that cannot be written
    does not fail the call: the logger ``buddy.memory`` has the error.
    """

    def __init__(self, file: str | os.PathLike[str], *, fsync: bool = False) -> None:
        self._file = Path(file)
        self._fsync = fsync
        self._lock = Lock()

    @classmethod
    def from_environment(cls) -> AuditLog:
        """Take the file from BUDDY_MEMORY_AUDIT_FILE; raises ValueError without it."""
        file = os.environ.get("BUDDY_MEMORY_AUDIT_FILE", "")
        if not file:
            raise ValueError("BUDDY_MEMORY_AUDIT_FILE is not set")
        return cls(file, fsync=os.environ.get("BUDDY_MEMORY_AUDIT_FSYNC") == "1")

    @hookimpl
    def buddy_memory_operation(self, operation: Operation) -> AbstractContextManager[None]:
        """Return what writes the line at the end."""
        return self._around(operation)

    @contextmanager
    def _around(self, operation: Operation) -> Generator[None]:
        time, started = datetime.now(timezone.utc), perf_counter()
        error: str | None = None
        try:
            yield
        except BaseException as raised:
            error = type(raised).__name__
            raise
        finally:
            self._append(_entry(operation, time, perf_counter() - started, error))

    def _append(self, entry: dict[str, Any]) -> None:
        """Write one line by one call, so that lines of several processes do not mix.

        The file is opened each time: it may be moved away, the disk may recover, and a forked
        process shares nothing.
        """
        line = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            descriptor = os.open(self._file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                _lock(descriptor)
                if not _ends_a_line(descriptor):
                    line = b"\n" + line
                written = os.write(descriptor, line)
                if written < len(line):
                    raise OSError(f"{self._file} took {written} of {len(line)} bytes")
                if self._fsync:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Keep other processes from writing until the file is closed, where the system can."""
    if fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _ends_a_line(descriptor: int) -> bool:
    """Tell whether the file's last line is whole: half a line, from a full disk or a process that
    was killed, must not spoil the next one, whoever wrote it."""
    size = os.fstat(descriptor).st_size
    if not size:
        return True
    os.lseek(descriptor, size - 1, os.SEEK_SET)
    return os.read(descriptor, 1) == b"\n"


def _entry(
    operation: Operation, time: datetime, seconds: float, error: str | None
) -> dict[str, Any]:
    return {
        "time": time.isoformat(),
        "actor": _actor.get(),
        "backend": operation.backend,
        "operation": operation.name,
        "kind": operation.kind.value if operation.kind else None,
        "scope": _scope(operation.scope),
        "keys": list(operation.keys),
        "ids": list(operation.ids),
        "rows": operation.rows,
        "error": error,
        "seconds": round(seconds, 6),
    }


def _scope(scope: Scope | None) -> str | dict[str, str | None] | None:
    """Return whose rows an operation is about; None where the call does not say."""
    if scope is None:
        return None
    if scope.reach is Reach.PREFIX:
        return {"prefix": scope.name}
    if scope.reach is Reach.USER:
        return "nobody" if scope.name is None else {"user": scope.name}
    return "everybody"
