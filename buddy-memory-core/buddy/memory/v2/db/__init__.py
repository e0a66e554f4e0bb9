"""Version 2 of the contract, and its backends as modules: sqlite, postgres, mongodb, redis,
firestore."""

from buddy.memory.v2.db.base import AsyncMemoryDb, MemoryDb

__all__ = ["AsyncMemoryDb", "MemoryDb"]
