"""The LMDB environment of a path: opened at first use, shared, closed by the last user."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition, Lock
from typing import TypeVar

import lmdb

from buddy.memory.errors import AccessError, MemoryDbError, UnavailableError
from buddy.memory.storage.client_cache import share
from buddy_memory_lmdb.errors import translate

T = TypeVar("T")
Work = Callable[[lmdb.Transaction], T]

MAP_SIZE = 2**30
MAX_READERS = 1024  # LMDB's own 126 are few for a server with many threads.

_lock = Lock()


class _Environment:
    """The environment of one path, opened at first use. LMDB allows one for each path and process;
    a forked child gives up the parent's and opens its own."""

    def __init__(self, path: Path, map_size: int) -> None:
        self._path, self._map_size = path, map_size
        self._opened: lmdb.Environment | None = None
        self._pid = 0
        self._turn, self._active, self._resizing = Condition(), 0, False

    def get(self) -> lmdb.Environment:
        opened = self._opened
        if opened is not None and self._pid == os.getpid():
            return opened
        with _lock:
            if self._pid != os.getpid():
                self.close()
            if self._opened is None:
                self._path.mkdir(parents=True, exist_ok=True)
                self._pid = os.getpid()
                self._turn, self._active, self._resizing = Condition(), 0, False
                self._opened = lmdb.open(
                    str(self._path), map_size=self._map_size, max_readers=MAX_READERS
                )
            return self._opened

    @contextmanager
    def transaction(self, write: bool) -> Generator[lmdb.Transaction]:
        """Begin a transaction; waits while the map is resized."""
        opened, turn = self.get(), self._turn
        with turn:
            turn.wait_for(lambda: not self._resizing)
            self._active += 1
        try:
            with opened.begin(write=write) as transaction:
                yield transaction
        finally:
            with turn:
                self._active -= 1
                turn.notify_all()

    def resize(self, *, double: bool) -> None:
        """Double the size of the map, or take over the one that another process has given it.

        LMDB wants no transaction of this process to be open meanwhile.
        """
        opened, turn = self.get(), self._turn
        with turn:
            turn.wait_for(lambda: not self._resizing)
            self._resizing = True
            try:
                turn.wait_for(lambda: not self._active)
                opened.set_mapsize(2 * opened.info()["map_size"] if double else 0)
            finally:
                self._resizing = False
                turn.notify_all()

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
        self._opened = None


class Database:
    """Runs pieces of work, each in one transaction.

    All objects on a path share its environment, which the last one closes.
    """

    def __init__(self, path: str | os.PathLike[str], map_size: int) -> None:
        self._path = Path(path).expanduser().absolute()
        self.files = (self._path / "data.mdb", self._path / "lock.mdb")
        self.map_size = map_size
        with _lock:
            self._environment, self._give_back = share(
                ("lmdb", self._path), lambda: _Environment(self._path, map_size)
            )

    def is_made(self) -> bool:
        """Tell whether there is a database file. Raises when that cannot be known (R7)."""
        try:
            (self._path / "data.mdb").stat()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise AccessError(f"LMDB: {self._path}: {error.strerror}") from error
        return True

    def read(self, work: Work[T], empty: T) -> T:
        """Return what ``work`` returns in a read transaction, or ``empty`` without a file."""
        return self._run(work, write=False) if self.is_made() else empty

    def change(self, work: Work[T], empty: T) -> T:
        """The same in a write transaction, all of which happens or nothing.

        A deletion needs pages before it frees any, up to as many as there are: a full map is
        doubled for it.
        """
        if not self.is_made():
            return empty
        try:
            return self._run(work, write=True)
        except UnavailableError as error:
            if not isinstance(error.__cause__, lmdb.MapFullError):
                raise
        self._environment.resize(double=True)
        return self._run(work, write=True)

    def write(self, work: Work[T]) -> T:
        """Return what ``work`` returns in a write transaction; makes the file."""
        return self._run(work, write=True)

    def _run(self, work: Work[T], *, write: bool) -> T:
        try:
            try:
                with self._environment.transaction(write) as transaction:
                    return work(transaction)
            except lmdb.MapResizedError:
                self._environment.resize(double=False)
            with self._environment.transaction(write) as transaction:
                return work(transaction)
        except MemoryDbError:
            raise  # Some of these are OSErrors, too.
        except (lmdb.Error, OSError) as error:
            raise translate(error, self._path) from error

    def close(self) -> None:
        """Give the environment back; the last one closes it."""
        with _lock:  # Before anybody can open it again.
            if self._give_back():
                self._environment.close()


# --- what transactions are asked for


def get(transaction: lmdb.Transaction, key: bytes) -> bytes:
    """Return the value of a key, b"" without one."""
    return bytes(transaction.get(key, b""))


def keys_of(transaction: lmdb.Transaction, prefix: bytes, start: bytes = b"") -> Iterator[bytes]:
    """Yield the keys that begin with ``prefix``, in order, from ``start`` on."""
    cursor = transaction.cursor()
    found = cursor.set_range(max(prefix, start))
    while found and (key := bytes(cursor.key())).startswith(prefix):
        yield key
        found = cursor.next()


def keys_backwards(transaction: lmdb.Transaction, prefix: bytes, end: bytes) -> Iterator[bytes]:
    """Yield the keys that begin with ``prefix``, backwards, from before ``end``."""
    cursor = transaction.cursor()
    found = cursor.prev() if cursor.set_range(end) else cursor.last()
    while found and (key := bytes(cursor.key())).startswith(prefix):
        yield key
        found = cursor.prev()


def _after_fork_in_child() -> None:
    global _lock
    _lock = Lock()  # Another thread of the parent may have held it.


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
