"""The class of version 1."""

from buddy.memory.db.stored import StoredMemoryDb
from buddy_memory_mariadb.constructor import MariaDbConstructor

__all__ = ["MariaDbMemoryDb"]


class MariaDbMemoryDb(MariaDbConstructor, StoredMemoryDb):
    """Version 1 on MariaDB; the arguments are those of MariaDbConstructor."""
