"""Durable storage for the memories of AI agents.

    from buddy.memory import open_memory_db

    db = open_memory_db("sqlite:///memory.db")

Change the backend by changing the string. See ``buddy.memory.v2.memory.Memory`` for what an agent
holds, and ``buddy.memory.v2.db.base`` for the contract of a database.
"""

from buddy.memory.registry import default as _registry
from buddy.memory.registry import open_async_memory_db, open_memory_db

backends = _registry.backends
refresh = _registry.refresh
register = _registry.register

__all__ = ["backends", "open_async_memory_db", "open_memory_db", "refresh", "register"]
