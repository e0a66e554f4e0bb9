"""The class of version 1."""

from buddy.memory.db.store_backed import StoreBackedMemoryDb
from buddy_memory_mariadb.constructor import MariaDbConstructor

__all__ = ["MariaDbMemoryDb"]


class MariaDbMemoryDb(MariaDbConstructor, StoreBackedMemoryDb):
    """Version 1 on MariaDB; the arguments are those of MariaDbConstructor."""
