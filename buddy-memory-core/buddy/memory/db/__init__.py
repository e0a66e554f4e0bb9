"""Version 1 of the contract, and its backends as modules: sqlite, postgres, mongodb."""

from buddy.memory.db.base import MemoryDb

__all__ = ["MemoryDb"]
