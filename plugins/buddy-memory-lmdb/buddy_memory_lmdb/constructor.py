"""The constructor that both versions share."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import unquote

from typing_extensions import Self

from buddy.memory.errors import ConfigError
from buddy.memory.options import construct, split
from buddy.memory.storage.database_base import StoreBackedDatabase
from buddy_memory_lmdb.client import MAP_SIZE, Database
from buddy_memory_lmdb.store import LmdbStore


class OpenedByUrl:
    """What a URL means, for all classes."""

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """Open ``lmdb:///relative/folder`` or ``lmdb:////absolute/folder``."""
        address, found = split(cls, url)
        path = unquote(address.partition("://")[2].removeprefix("/"))
        return construct(cls, {**({"path": path} if path else {}), **found, **options})


class LmdbConstructor(OpenedByUrl, StoreBackedDatabase):
    """Memories in the LMDB environment in the folder ``path``, which the first write makes.

    ``table_name`` keeps stores in one environment apart. ``map_size`` is the most bytes that the
    environment may grow to; of several objects on one path in one process, the first decides.
    ``expire`` is how many seconds a row lives that is written without a ``ttl``; None: for ever.
    Raises ConfigError; does no I/O.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        table_name: str = "memory",
        map_size: int = MAP_SIZE,
        *,
        expire: float | None = None,
    ) -> None:
        if not os.fspath(path) or not table_name:
            raise ConfigError("path and table_name must not be empty")
        settings = {
            "path": os.fspath(path),
            "table_name": table_name,
            "map_size": map_size,
            "expire": expire,
        }
        super().__init__(LmdbStore(Database(path, map_size), table_name), settings)
