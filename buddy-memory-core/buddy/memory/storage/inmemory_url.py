"""The constructor of the databases in memory, and the stores that they share by name."""

from __future__ import annotations

from threading import Lock
from typing import Any

from buddy.memory.config import redact_url
from buddy.memory.errors import ConfigError
from buddy.memory.storage.database_base import StoreBackedDatabase
from buddy.memory.storage.inmemory import InMemoryStore

_SCHEME = "memory://"

_lock = Lock()
_named: dict[str, InMemoryStore] = {}


class InMemoryConstructor(StoreBackedDatabase):
    """Rows in the memory of this process: ``memory://`` is a fresh store for each object,
    ``memory://name`` one that is shared within the process for as long as it runs.

    ``expire`` is how many seconds a row lives that is written without a ``ttl``; None: for ever.
    Raises ConfigError for any other URL.
    """

    def __init__(self, db_url: str = _SCHEME, *, expire: float | None = None) -> None:
        settings = {"db_url": db_url, "expire": expire}
        super().__init__(_store(db_url), settings, portable=False)


def _store(url: Any) -> InMemoryStore:
    scheme, mark, name = url.partition("://") if isinstance(url, str) else ("", "", "")
    if f"{scheme}{mark}" != _SCHEME or any(character in name for character in "/?#@"):
        raise ConfigError(
            f"{redact_url(str(url))!r} is no database in memory: memory:// is a fresh one, "
            "memory://name one that is shared within the process"
        )
    if not name:
        return InMemoryStore()
    with _lock:
        return _named.setdefault(name, InMemoryStore())
