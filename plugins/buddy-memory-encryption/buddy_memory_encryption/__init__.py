"""Payloads encrypted at rest, with AES-256-GCM and keys that can be rotated."""

from buddy_memory_encryption.keys import Keys, UnknownKeyError, new_key
from buddy_memory_encryption.plugin import Encryption, KeyDestroyedError, NotEncryptedError
from buddy_memory_encryption.rotation import Rotation, rotate
from buddy_memory_encryption.user_keys import UserKeys

__all__ = [
    "Encryption",
    "KeyDestroyedError",
    "Keys",
    "NotEncryptedError",
    "Rotation",
    "UnknownKeyError",
    "UserKeys",
    "new_key",
    "rotate",
]
