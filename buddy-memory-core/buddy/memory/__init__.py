"""Durable storage for the memories of AI agents.

    from buddy.memory import open_memory_db

    db = open_memory_db("sqlite:///memory.db")

Change the backend by changing the string. See ``Memory`` for what an agent holds, and
``buddy.memory.v2.db.base`` for the contract of a database. Rows and memories are those of version 2
of the API; version 1 is in ``buddy.memory.db``, ``buddy.memory.row`` and ``buddy.memory.agent``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from buddy.memory import errors
from buddy.memory.registry import default as _registry
from buddy.memory.registry import open_async_memory_db, open_memory_db

if TYPE_CHECKING:
    from buddy.memory.receipt import Receipt
    from buddy.memory.rows import MemoryRow, SummaryRow
    from buddy.memory.search.embedder import Embedder
    from buddy.memory.search.request import SearchResult
    from buddy.memory.storage.expiry import KEEP, NEVER
    from buddy.memory.storage.iteration import Page
    from buddy.memory.storage.users import NOBODY
    from buddy.memory.v2.memory import Memory
    from buddy.memory.v2.schema import UserMemory

backends = _registry.backends
refresh = _registry.refresh
register = _registry.register

__all__ = [
    "KEEP",
    "NEVER",
    "NOBODY",
    "Embedder",
    "Memory",
    "MemoryRow",
    "Page",
    "Receipt",
    "SearchResult",
    "SummaryRow",
    "UserMemory",
    "backends",
    "errors",
    "open_async_memory_db",
    "open_memory_db",
    "refresh",
    "register",
]

_LAZY = {
    "KEEP": "buddy.memory.storage.expiry",
    "NEVER": "buddy.memory.storage.expiry",
    "NOBODY": "buddy.memory.storage.users",
    "Embedder": "buddy.memory.search.embedder",
    "Memory": "buddy.memory.v2.memory",
    "MemoryRow": "buddy.memory.rows",
    "Page": "buddy.memory.storage.iteration",
    "Receipt": "buddy.memory.receipt",
    "SearchResult": "buddy.memory.search.request",
    "SummaryRow": "buddy.memory.rows",
    "UserMemory": "buddy.memory.v2.schema",
}
"""Where the names are that are imported when they are first used."""


if not TYPE_CHECKING:  # A checker would take any name for one that exists.

    def __getattr__(name: str) -> Any:
        if name in _LAZY:
            return getattr(import_module(_LAZY[name]), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
