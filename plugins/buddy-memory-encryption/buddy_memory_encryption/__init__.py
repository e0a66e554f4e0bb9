"""Payloads encrypted at rest, with AES-256-GCM and keys that can be rotated."""

from buddy_memory_encryption.keys import Keys, UnknownKeyError, new_key
from buddy_memory_encryption.plugin import Encryption, NotEncryptedError
from buddy_memory_encryption.rotation import Rotation, rotate

__all__ = [
    "Encryption",
    "Keys",
    "NotEncryptedError",
    "Rotation",
    "UnknownKeyError",
    "new_key",
    "rotate",
]
