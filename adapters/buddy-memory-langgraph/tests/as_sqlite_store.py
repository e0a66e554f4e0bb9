"""A pytest plugin: the stores that LangGraph's own SQLite tests make are BuddyStores."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from typing import Any

import langgraph.store.sqlite
import langgraph.store.sqlite.aio
import langgraph.store.sqlite.base

from buddy_memory_langgraph import BuddyStore

_numbers = count()


def _url(path: str) -> str:
    """One path is one store; ``:memory:`` a new one each time."""
    name = f"{os.getpid()}n{next(_numbers)}"
    if path != ":memory:":
        name = hashlib.sha256(f"{os.getpid()}{path}".encode()).hexdigest()[:20]
    return os.environ["BUDDY_TEST_URL"].replace("NAME", name)


def _index(config: dict[str, Any] | None) -> Any:
    """Their fields are named otherwise than in LangGraph's own config, which has no distances."""
    if config is None:
        return None
    fields = config.get("fields") or config.get("text_fields")
    return {"dims": config["dims"], "embed": config["embed"], "fields": fields}


class AsSqliteStore(BuddyStore):
    """Opened as SqliteStore is."""

    @classmethod
    @contextmanager
    def from_conn_string(cls, path: str, *, index: Any = None, ttl: Any = None) -> Iterator[Any]:
        with cls(_url(path), index=_index(index), ttl=ttl) as store:
            yield store

    def setup(self) -> None:
        """Tables are made by the first write."""


class AsAsyncSqliteStore(BuddyStore):
    """Opened as AsyncSqliteStore is; its methods for expiry are awaited."""

    @classmethod
    @asynccontextmanager
    async def from_conn_string(
        cls, path: str, *, index: Any = None, ttl: Any = None
    ) -> AsyncIterator[Any]:
        async with cls(_url(path), index=_index(index), ttl=ttl) as store:
            yield store

    async def setup(self) -> None:
        """Tables are made by the first write."""

    async def sweep_ttl(self) -> int:  # type: ignore[override]
        return super().sweep_ttl()

    async def start_ttl_sweeper(self, minutes: float | None = None) -> Any:  # type: ignore[override]
        return super().start_ttl_sweeper(minutes)

    async def stop_ttl_sweeper(self, timeout: float | None = None) -> bool:  # type: ignore[override]
        return super().stop_ttl_sweeper(timeout)


for module in (langgraph.store.sqlite, langgraph.store.sqlite.base):
    module.SqliteStore = AsSqliteStore  # type: ignore[attr-defined,misc,assignment]
for module in (langgraph.store.sqlite, langgraph.store.sqlite.aio):
    module.AsyncSqliteStore = AsAsyncSqliteStore  # type: ignore[attr-defined,misc,assignment]
