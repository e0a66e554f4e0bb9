"""The store for ``langgraph.json``, of the database that ``BUDDY_MEMORY_URL`` names.

{"store": {"path": "buddy_memory_langgraph.store.store"}}
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from buddy.memory.errors import ConfigError
from buddy_memory_langgraph.buddy_store import BuddyStore


@asynccontextmanager
async def store() -> AsyncIterator[BuddyStore]:
    """Yield the store, and close its database afterwards.

    Raises ConfigError where the variable is missing or names no database.
    """
    url = os.environ.get("BUDDY_MEMORY_URL")
    if not url:
        raise ConfigError("BUDDY_MEMORY_URL names the database, and it is not set")
    async with BuddyStore(url) as opened:
        yield opened
