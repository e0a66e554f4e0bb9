"""The hooks: every payload is sealed on its way in and unsealed on its way out.

What is stored instead of a payload::

    {"buddy_memory_encryption": 1, "key": "2026-11", "sealed": "base64 of nonce, text and tag"}

With a key for each user, "user_key" stands there instead of "key". A sealed payload is bound to the
kind, user and id of its row. In another row it is unreadable.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from buddy.memory.hookspecs import ForgottenUserError, hookimpl
from buddy.memory.payload import canonical_json, from_json, to_json
from buddy.memory.receipt import Receipt
from buddy.memory.storage.record import Key, Kind, Record
from buddy_memory_encryption.keys import Keys, UnknownKeyError
from buddy_memory_encryption.user_keys import UserKeys

_MARK, _FORM = "buddy_memory_encryption", 1

RowKey = tuple[Kind, Key]


class NotEncryptedError(ValueError):
    """A stored payload is not one that this plugin has written."""


@dataclass
class Notice:
    """What reading has shown: rows that the newest key did not seal, and unreadable ones."""

    stale: set[RowKey] = field(default_factory=set[RowKey])
    unreadable: set[RowKey] = field(default_factory=set[RowKey])


_notice: ContextVar[Notice | None] = ContextVar("buddy_memory_encryption", default=None)


@contextmanager
def noticing() -> Generator[Notice]:
    """Note down what is read in this context."""
    token = _notice.set(Notice())
    try:
        notice = _notice.get()
        assert notice is not None
        yield notice
    finally:
        _notice.reset(token)


class KeyDestroyedError(ForgottenUserError):
    """The key of the row's user was destroyed."""


class Encryption:
    """The plugin. ``read_plain`` shows rows from before it was there; see the README first.

    With ``user_keys`` each user's payloads are sealed with a key of the user's own, which is
    destroyed when the user was forgotten.
    """

    def __init__(
        self, keys: Keys, *, user_keys: UserKeys | None = None, read_plain: bool = False
    ) -> None:
        self._keys = keys
        self.user_keys = user_keys
        self._read_plain = read_plain

    @classmethod
    def from_environment(cls) -> Encryption:
        """Take the keys from BUDDY_MEMORY_ENCRYPTION_KEYS; raises ValueError without it.

        BUDDY_MEMORY_ENCRYPTION_USER_KEYS names the file of the users' keys.
        """
        text = os.environ.get("BUDDY_MEMORY_ENCRYPTION_KEYS", "")
        if not text:
            raise ValueError("BUDDY_MEMORY_ENCRYPTION_KEYS is not set")
        read_plain = os.environ.get("BUDDY_MEMORY_ENCRYPTION_READ_PLAIN") == "1"
        keys, file = Keys.parse(text), os.environ.get("BUDDY_MEMORY_ENCRYPTION_USER_KEYS")
        return cls(keys, user_keys=UserKeys(file, keys) if file else None, read_plain=read_plain)

    # The last one before the store and the first one after it: other transforms see plain text.

    @hookimpl(trylast=True)
    def buddy_memory_before_write(self, record: Record) -> Record:
        """Seal the payload with the user's key, or with the newest one."""
        name, id, keys = "key", self._keys.newest, self._keys
        if self.user_keys is not None:
            name, (id, keys) = "user_key", self.user_keys.newest(record.user_id)
        sealed = keys.seal(to_json(record.payload).encode(), _bound_to(record))
        payload = {_MARK: _FORM, name: id, "sealed": b64encode(sealed).decode()}
        return record._replace(payload=payload)

    @hookimpl(trylast=True)
    def buddy_memory_after_read(self, record: Record) -> Record | None:
        """Unseal the payload; whatever is wrong with it makes the row unreadable."""
        notice, row = _notice.get(), (record.kind, record.key)
        try:
            shown, is_newest = self._unsealed(record)
        except Exception:
            if notice is not None:
                notice.unreadable.add(row)
            raise
        if notice is not None and not is_newest:
            notice.stale.add(row)
        return shown

    def _unsealed(self, record: Record) -> tuple[Record, bool]:
        """Return the record as it was written, and whether the newest key had sealed it."""
        payload = record.payload
        if payload.get(_MARK) != _FORM:
            if self._read_plain:
                return record, False
            raise NotEncryptedError(record.id)
        id, keys, is_newest = payload.get("key"), self._keys, False
        if id is None:
            id, is_newest = payload["user_key"], True
            keys = self._users_key(record.user_id, id)
        elif self.user_keys is None:
            is_newest = id == self._keys.newest
        plain = keys.unseal(id, b64decode(payload["sealed"]), _bound_to(record))
        return record._replace(payload=from_json(plain)), is_newest

    def _users_key(self, user: str | None, id: str) -> Keys:
        if self.user_keys is None:
            raise UnknownKeyError("no file with the users' keys was given")
        keys = self.user_keys.get(user, id)
        if keys is None:
            raise KeyDestroyedError
        return keys

    @hookimpl
    def buddy_memory_forgotten(self, receipt: Receipt) -> None:
        """Destroy the key of a user who was forgotten, so that no backup can be read either."""
        if self.user_keys is not None and receipt.verified:
            self.user_keys.destroy(receipt.user_id)


def _bound_to(record: Record) -> bytes:
    return canonical_json([_FORM, record.kind.value, record.user_id, record.id]).encode()
