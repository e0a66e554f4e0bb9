"""A key for each user, in a file apart from the database: destroying it is forgetting the user.

What a backup of the database still holds of that user then cannot be read by anybody. The keys lie
in a SQLite file, each encrypted with the newest of the ``Keys``, bound to its user.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import RLock
from uuid import uuid4

from buddy.memory.payload import canonical_json
from buddy_memory_encryption.keys import KEY_BYTES, Keys

_TABLE = """CREATE TABLE IF NOT EXISTS user_keys (
    user TEXT PRIMARY KEY, id TEXT NOT NULL, key TEXT NOT NULL, sealed BLOB NOT NULL
) WITHOUT ROWID"""
_WAIT_SECONDS = 30


class UserKeys:
    """The key file. Safe for threads, processes and after a fork.

    Each use reads the file, so that a key that another process has destroyed is used by nobody.
    """

    def __init__(self, file: str | os.PathLike[str], keys: Keys, *, create: bool = False) -> None:
        """Take the file, which has to be there: a disk that is not mounted must not look like users
        without keys, who would get new ones. ``create`` makes a missing one, once. Raises
        ValueError without the file."""
        self._file, self._keys = Path(file), keys
        if create:
            _create(self._file)
        elif not self._file.exists():
            raise ValueError(f"the file with the users' keys, {file}, is not there")
        self._lock = RLock()
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[int, int, int] | None = None

    def newest(self, user: str | None) -> tuple[str, Keys]:
        """Return the user's key and its id; a user without one gets one. None is nobody."""
        with self._lock:
            found = self._find(user)
            if found is None:
                key, id = os.urandom(KEY_BYTES), uuid4().hex
                sealed = self._keys.seal(key, _bound_to(user, id))
                with self._connected() as connection:
                    connection.execute(
                        "INSERT OR IGNORE INTO user_keys VALUES (?, ?, ?, ?)",
                        (_name(user), id, self._keys.newest, sealed),
                    )
                found = self._find(user)  # Another process may have been first.
                assert found is not None
            id, key_id, sealed = found
            return id, self._opened_key(user, id, key_id, sealed)

    def get(self, user: str | None, id: str) -> Keys | None:
        """Return the user's key with that id; None when it was destroyed, or never was."""
        with self._lock:
            found = self._find(user)
        if found is None or found[0] != id:
            return None
        return self._opened_key(user, *found)

    def destroy(self, user: str | None) -> bool:
        """Destroy the user's key; tell whether there was one."""
        with self._lock, self._connected() as connection:
            return (
                connection.execute("DELETE FROM user_keys WHERE user = ?", (_name(user),)).rowcount
                > 0
            )

    def rekey(self) -> int:
        """Encrypt with the newest of the ``Keys`` what an older one did; return how many these
        were. Rows of the database stay as they are."""
        with self._lock, self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            old = connection.execute(
                "SELECT user, id, key, sealed FROM user_keys WHERE key <> ?", (self._keys.newest,)
            ).fetchall()
            for name, id, key_id, sealed in old:
                bound = _bound(name, id)
                again = self._keys.seal(self._keys.unseal(key_id, sealed, bound), bound)
                connection.execute(
                    "UPDATE user_keys SET key = ?, sealed = ? WHERE user = ?",
                    (self._keys.newest, again, name),
                )
            return len(old)

    def _find(self, user: str | None) -> tuple[str, str, bytes] | None:
        with self._connected() as connection:
            found: tuple[str, str, bytes] | None = connection.execute(
                "SELECT id, key, sealed FROM user_keys WHERE user = ?", (_name(user),)
            ).fetchone()
            return found

    def _opened_key(self, user: str | None, id: str, key_id: str, sealed: bytes) -> Keys:
        return Keys({id: self._keys.unseal(key_id, sealed, _bound_to(user, id))})

    @contextmanager
    def _connected(self) -> Generator[sqlite3.Connection]:
        """Hold the connection of this process to the file that is there now; commit in the end."""
        if self._connection is None or self._opened != self._identity():
            self._connection = self._connect()
            self._opened = self._identity()
        with self._connection as connection:
            yield connection

    def _identity(self) -> tuple[int, int, int] | None:
        """Return what changes when the process is another one, or the file."""
        try:
            found = self._file.stat()
        except FileNotFoundError:
            return None
        return os.getpid(), found.st_dev, found.st_ino

    def _connect(self) -> sqlite3.Connection:
        place = f"{self._file.absolute().as_uri()}?mode=rw"  # A missing file is not made.
        connection = sqlite3.connect(place, _WAIT_SECONDS, check_same_thread=False, uri=True)
        # What is deleted is overwritten with zeros, in the file and in its journal.
        for pragma in ("secure_delete = ON", "journal_mode = TRUNCATE", "synchronous = FULL"):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        return connection


def _create(file: Path) -> None:
    """Make the file, its owner's alone, unless it is there."""
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, stat.S_IRUSR | stat.S_IWUSR))
    with closing(sqlite3.connect(file, _WAIT_SECONDS)) as connection, connection:
        connection.execute(_TABLE)


def _name(user: str | None) -> str:
    return canonical_json([user])


def _bound_to(user: str | None, id: str) -> bytes:
    return _bound(_name(user), id)


def _bound(name: str, id: str) -> bytes:
    return f"user key {id} {name}".encode()
