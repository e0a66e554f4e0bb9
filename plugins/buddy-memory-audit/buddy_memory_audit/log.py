"""The plugin: one JSON object for each operation, one line each, in a file that only grows."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from datetime import datetime, timezone
from pathlib import Path
from threading import Lock
from time import perf_counter
from types import ModuleType, TracebackType
from typing import Any

from buddy.memory.hookspecs import Operation, hookimpl
from buddy.memory.receipt import Receipt
from buddy.memory.storage.record import Reach, Scope
from buddy_memory_audit.chain import chained, last_hash

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows: one process writes a file, or the chain breaks.
    fcntl = None

CHANGES = frozenset(
    {
        "create", "drop", "upgrade", "put", "put_many", "restore", "rewrite", "touch", "sweep",
        "delete", "delete_many", "delete_all", "delete_legacy",
    }
)  # fmt: skip
"""The operations that change a store; all others read."""

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

    Operations that read have a line with ``reads`` only. With ``fsync`` a line is on the disk
    before the call returns. ``key`` makes the chain of lines one that nobody without it can make
    anew. A line that cannot be written does not fail the call: the logger ``buddy.memory`` has the
    error.
    """

    def __init__(
        self,
        file: str | os.PathLike[str],
        *,
        fsync: bool = False,
        reads: bool = False,
        key: bytes | None = None,
    ) -> None:
        self.fsync = fsync
        self._file = Path(file)
        self._reads = reads
        self._key = key
        self._lock = Lock()

    @classmethod
    def from_environment(cls) -> AuditLog:
        """Take the file from BUDDY_MEMORY_AUDIT_FILE; raises ValueError without it.

        BUDDY_MEMORY_AUDIT_KEY is the key; _FSYNC=1 and _READS=1 switch these on.
        """
        file = os.environ.get("BUDDY_MEMORY_AUDIT_FILE", "")
        if not file:
            raise ValueError("BUDDY_MEMORY_AUDIT_FILE is not set")
        fsync, reads = (
            os.environ.get(f"BUDDY_MEMORY_AUDIT_{name}") == "1" for name in ("FSYNC", "READS")
        )
        return cls(file, fsync=fsync, reads=reads, key=key_of_environment())

    @hookimpl
    def buddy_memory_operation(self, operation: Operation) -> AbstractContextManager[None] | None:
        """Return what writes the line at the end; None for an operation that needs none."""
        if operation.name in CHANGES or self._reads:
            return _Observed(self, operation)
        return None

    @hookimpl
    def buddy_memory_forgotten(self, receipt: Receipt) -> None:
        """Write down the receipt of a user who was forgotten."""
        now = datetime.now(timezone.utc)
        self.append(
            {
                "time": now.isoformat(),
                "actor": _actor.get(),
                "operation": "forget_user",
                "receipt": receipt.to_dict(),
            }
        )

    def append(self, entry: dict[str, Any]) -> None:
        """Write one line by one call, so that lines of several processes do not mix.

        The file is opened each time: it may be moved away, the disk may recover, and a forked
        process shares nothing.
        """
        text = json.dumps(entry, separators=(",", ":")).encode()
        with self._lock:
            descriptor = os.open(self._file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                _lock(descriptor)
                line = chained(text, last_hash(descriptor), self._key)
                if not _ends_a_line(descriptor):
                    line = b"\n" + line
                written = os.write(descriptor, line)
                if written < len(line):
                    raise OSError(f"{self._file} took {written} of {len(line)} bytes")
                if self.fsync:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)


class _Observed:
    """Writes the line of one operation when it has ended; on an event loop a line that goes to the
    disk is waited for, so that other tasks go on."""

    def __init__(self, log: AuditLog, operation: Operation) -> None:
        self._log, self._operation = log, operation

    def __enter__(self) -> None:
        self._time, self._started = datetime.now(timezone.utc), perf_counter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._log.append(self._entry(error))

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        entry = self._entry(error)
        if self._log.fsync:
            await asyncio.to_thread(self._log.append, entry)
        else:
            self._log.append(entry)

    def _entry(self, error: BaseException | None) -> dict[str, Any]:
        operation = self._operation
        return {
            "time": self._time.isoformat(),
            "actor": _actor.get(),
            "backend": operation.backend,
            "operation": operation.name,
            "kind": operation.kind.value if operation.kind else None,
            "scope": _scope(operation.scope),
            "keys": list(operation.keys),
            "ids": list(operation.ids),
            "rows": operation.rows,
            "error": None if error is None else type(error).__name__,
            "seconds": round(perf_counter() - self._started, 6),
        }


def key_of_environment() -> bytes | None:
    """Return the key in BUDDY_MEMORY_AUDIT_KEY, or None."""
    return os.environ.get("BUDDY_MEMORY_AUDIT_KEY", "").encode() or None


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


def _scope(scope: Scope | None) -> str | dict[str, str | None] | None:
    """Return whose rows an operation is about; None where the call does not say."""
    if scope is None:
        return None
    if scope.reach is Reach.PREFIX:
        return {"prefix": scope.name}
    if scope.reach is Reach.USER:
        return "nobody" if scope.name is None else {"user": scope.name}
    return "everybody"
