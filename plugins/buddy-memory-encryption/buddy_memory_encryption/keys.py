"""Keys by their ids: the first one encrypts, every one decrypts what it has encrypted."""

from __future__ import annotations

import binascii
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_NONCE_BYTES = 12


class UnknownKeyError(LookupError):
    """Something was encrypted by a key that is not among the given ones."""


class Keys:
    """One key or several, the newest first.

    A nonce is random, and with one key 2**32 of them are safe: rotate before so many writes.
    """

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """Take keys of 32 bytes by their ids. Raises ValueError for none, or for any other."""
        if not keys:
            raise ValueError("at least one key is needed")
        for id, key in keys.items():
            if len(key) != KEY_BYTES:
                raise ValueError(f"the key {id!r} has {len(key)} bytes and not {KEY_BYTES}")
        self.newest = next(iter(keys))
        self._ciphers = {id: AESGCM(key) for id, key in keys.items()}

    @classmethod
    def parse(cls, text: str) -> Keys:
        """Return the keys in ``ID:KEY,ID:KEY,…``, each key as ``new_key`` writes it.

        Raises ValueError, which tells ids and never a key.
        """
        keys: dict[str, bytes] = {}
        for number, item in enumerate(text.split(","), 1):
            id, colon, key = item.strip().partition(":")
            if not (id and colon):
                raise ValueError(f"key number {number} is not written as ID:KEY")
            if id in keys:
                raise ValueError(f"the key {id!r} stands there twice")
            try:
                keys[id] = urlsafe_b64decode(key)
            except (binascii.Error, ValueError):
                raise ValueError(f"the key {id!r} is no base64") from None
        return cls(keys)

    def seal(self, plain: bytes, bound_to: bytes) -> bytes:
        """Encrypt with the newest key; what it is ``bound_to`` has to be the same to ``unseal``."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._ciphers[self.newest].encrypt(nonce, plain, bound_to)

    def unseal(self, id: str, sealed: bytes, bound_to: bytes) -> bytes:
        """Decrypt with the key ``id``.

        Raises UnknownKeyError, or InvalidTag of ``cryptography`` where anything was changed.
        """
        cipher = self._ciphers.get(id)
        if cipher is None:
            raise UnknownKeyError(f"there is no key {id!r}")
        return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound_to)


def new_key() -> str:
    """Return a random key as text."""
    return urlsafe_b64encode(os.urandom(KEY_BYTES)).decode()
