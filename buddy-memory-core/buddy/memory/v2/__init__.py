"""Version 2 of the API: ``v2.memory`` for agents, ``v2.db`` for databases."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from buddy.memory.rows import MemoryRow, SummaryRow
    from buddy.memory.v2.db.base import AsyncMemoryDb, MemoryDb
    from buddy.memory.v2.memory import Memory
    from buddy.memory.v2.schema import SessionSummary, UserMemory

__all__ = [
    "AsyncMemoryDb",
    "Memory",
    "MemoryDb",
    "MemoryRow",
    "SessionSummary",
    "SummaryRow",
    "UserMemory",
]

_LAZY = {
    "AsyncMemoryDb": "buddy.memory.v2.db.base",
    "Memory": "buddy.memory.v2.memory",
    "MemoryDb": "buddy.memory.v2.db.base",
    "MemoryRow": "buddy.memory.rows",
    "SessionSummary": "buddy.memory.v2.schema",
    "SummaryRow": "buddy.memory.rows",
    "UserMemory": "buddy.memory.v2.schema",
}
"""Where the names are that are imported when they are first used."""


if not TYPE_CHECKING:  # A checker would take any name for one of these.

    def __getattr__(name: str) -> Any:
        if name in _LAZY:
            return getattr(import_module(_LAZY[name]), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
