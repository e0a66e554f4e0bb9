"""A BaseStore of LangGraph over any buddy-memory database: opening, closing, expiry."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from threading import TIMEOUT_MAX, Event, Thread
from typing import Any
from weakref import WeakKeyDictionary

from langgraph.store.base import BaseStore, IndexConfig, Op, Result, TTLConfig

from buddy.memory.adapting import as_async, as_awaitable, as_sync, run
from buddy.memory.errors import ClosedError, MemoryDbError
from buddy.memory.storage.self_description import no_expiry
from buddy.memory.v2.db.base import MemoryDb
from buddy_memory_langgraph.checking import check_configs, check_minutes, checked
from buddy_memory_langgraph.operations import Operations
from buddy_memory_langgraph.vectors import Embedding, Vectors

AT_ONCE = 64
"""How many asynchronous batches run at once in an event loop; thousands wait here, and not in the
pool of a driver, where waiting ends with an error."""

logger = logging.getLogger(__name__)


class BuddyStore(BaseStore):
    """LangGraph's long-term memory in the database ``db``: a MemoryDb or a config string.

    ``index`` is LangGraph's: with it, ``search(query=…)`` ranks by meaning; without, a query is
    ignored, as by LangGraph's own stores. ``ttl`` is LangGraph's, in minutes: what has expired is
    never returned, and where it is given without ``refresh_on_read``, only ``refresh_ttl=True``
    lets reading extend a lifetime, as in LangGraph's SQLite store. ``root`` is the first segment of
    all scopes. A database that was opened here is closed by ``close`` or ``aclose``, or at the end
    of ``with`` or ``async with``. Every method raises the errors of ``buddy.memory.errors``: an
    outage never looks like an empty answer. Raises ConfigError for a wrong ``db``, ``index`` or
    ``ttl``.
    """

    supports_ttl = True

    def __init__(
        self,
        db: MemoryDb | str | Mapping[str, Any],
        *,
        index: IndexConfig | None = None,
        ttl: TTLConfig | None = None,
        root: str = "langgraph",
    ) -> None:
        check_configs(index, ttl)
        self._embedding = Embedding(index)
        self.index_config = index
        # LangGraph makes an operation's refresh_ttl of this.
        self.ttl_config = None if ttl is None else TTLConfig(**{"refresh_on_read": False, **ttl})
        self._db = as_sync(db)
        self._opened = isinstance(db, (str, Mapping))
        # What lies in memory would be another database if it were opened twice.
        shared = not self._opened or getattr(self._db, "in_memory", True)
        self._async_db = as_async(self._db if shared else db)
        self._operations = Operations(root, indexed=index is not None)
        self._closed = False
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore]
        self._turns = WeakKeyDictionary()
        self._stop = Event()
        self._sweeper: Thread | None = None

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Answer the reads, then do the writes; of two writes to one item the later counts."""
        ops = self._checked(ops)
        texts, queries = self._embedding.needs(ops)
        vectors = Vectors(self._embedding.documents(texts), self._embedding.queries(queries))
        return run(self._operations.answer(as_awaitable(self._db), ops, vectors, self._embedding))

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """As ``batch``."""
        ops = self._checked(ops)
        texts, queries = self._embedding.needs(ops)
        documents, asked = await asyncio.gather(
            self._embedding.adocuments(texts), self._embedding.aqueries(queries)
        )
        vectors = Vectors(documents, asked)
        async with self._turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE)):
            return await self._operations.answer(self._async_db, ops, vectors, self._embedding)

    def _checked(self, ops: Iterable[Op]) -> list[Op]:
        self._check_open()
        return checked(ops)

    # --- expiry

    def sweep_ttl(self) -> int:
        """Remove what has expired from the database; return how many rows these were."""
        self._check_open()
        return self._db.sweep()

    def start_ttl_sweeper(self, sweep_interval_minutes: float | None = None) -> None:
        """Sweep in a thread, now and then every so many minutes, until ``stop_ttl_sweeper``.

        None: as ``ttl["sweep_interval_minutes"]`` says, else every five. A second call changes
        nothing. An error is logged, and the next sweep tries again; a database that was closed ends
        it. Raises ConfigError for what is no interval, UnsupportedError where nothing expires.
        """
        self._check_open()
        if not self._db.keeps_ends:
            raise no_expiry(self._db)
        if sweep_interval_minutes is not None:
            check_minutes(sweep_interval_minutes, "sweep_interval_minutes")
        if self._sweeper is not None and self._sweeper.is_alive():
            return
        configured = (self.ttl_config or {}).get("sweep_interval_minutes")
        minutes = sweep_interval_minutes or configured or 5
        self._stop.clear()
        seconds = min(minutes * 60, TIMEOUT_MAX)
        self._sweeper = Thread(target=self._sweep_until_stopped, args=[seconds], daemon=True)
        self._sweeper.start()

    def _sweep_until_stopped(self, seconds: float) -> None:
        while True:
            try:
                self.sweep_ttl()
            except ClosedError:
                return
            except MemoryDbError:
                logger.exception("expired items could not be removed; this is tried again")
            if self._stop.wait(seconds):
                return

    def stop_ttl_sweeper(self, timeout: float | None = None) -> bool:
        """Stop the thread; return whether it ended within ``timeout`` seconds (None: waits)."""
        self._stop.set()
        if self._sweeper is None:
            return True
        self._sweeper.join(timeout)
        return not self._sweeper.is_alive()

    # --- closing

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError(type(self).__name__)

    def close(self) -> None:
        """Stop sweeping, and close the database when it was opened here; no call works afterwards.

        After asynchronous use, ``aclose`` is the one to call: it gives back connections, too.
        """
        self._closed = True
        self.stop_ttl_sweeper()
        if self._opened:
            self._db.close()

    async def aclose(self) -> None:
        """As ``close``, for both sides of the database."""
        self._closed = True
        await asyncio.to_thread(self.stop_ttl_sweeper)
        if self._opened:
            await self._async_db.close()
            await asyncio.to_thread(self._db.close)

    def __enter__(self) -> BuddyStore:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    async def __aenter__(self) -> BuddyStore:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()
