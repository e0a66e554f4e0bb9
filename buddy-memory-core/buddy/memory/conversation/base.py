"""What Memory and AgentMemory share: holding a database and a model, closing, and copying."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, NamedTuple

from typing_extensions import Self

from buddy.memory.conversation.ends import ends_of
from buddy.memory.conversation.extraction import Extract, check_extract
from buddy.memory.conversation.history import MAX_RUNS, MAX_SESSIONS, Sessions
from buddy.memory.conversation.manager import Makers, MemoryManager
from buddy.memory.conversation.models import Model, check_model
from buddy.memory.conversation.opening import awaitable, blocking, open_db
from buddy.memory.conversation.rows import row_v1, row_v2
from buddy.memory.conversation.waits import AWAITING, BLOCKING
from buddy.memory.errors import ClosedError
from buddy.memory.storage.expiry import Ttl
from buddy.memory.storage.rules import RefCount
from buddy.memory.storage.sync_runner import run


class AgentView(NamedTuple):
    """What an ``Agent`` uses of a memory object, for one run."""

    manager: MemoryManager
    sessions: Sessions
    whose: Callable[[str | None], str | None]
    session_of: Callable[[str | None], str | None]


class MemoryBase:
    """A database and a model. ``db`` is the one that was given, or the one that was opened.

    A database that the caller made stays the caller's and is never closed here.
    """

    version: int

    def __init__(
        self,
        db: Any,
        model: Model | None,
        extract: Extract | None = None,
        memory_instructions: str | None = None,
        summary_instructions: str | None = None,
        max_sessions: int | None = MAX_SESSIONS,
        max_runs: int | None = MAX_RUNS,
        ttl: Ttl = None,
    ) -> None:
        self.model = check_model(model)
        self.extract: Extract | None = check_extract(extract)
        self.memory_instructions = memory_instructions
        self.summary_instructions = summary_instructions
        self._sessions = Sessions(max_sessions, max_runs)
        self.db, opened = open_db(db, type(self).__name__, self.version)
        ends_of(self.db, ttl)
        self.ttl: Ttl = ttl
        self._references = RefCount() if opened else None
        self._closed = False

    @property
    def _sync(self) -> MemoryManager:
        """For synchronous methods, driven by ``run``."""
        return self._manager(is_async=False)

    @property
    def _async(self) -> MemoryManager:
        """For asynchronous methods."""
        return self._manager(is_async=True)

    def _manager(self, is_async: bool) -> MemoryManager:
        # Made at each call: all attributes may be set at any time.
        if self._closed:
            raise ClosedError(type(self).__name__)
        db, waits = (awaitable, AWAITING) if is_async else (blocking, BLOCKING)
        makers = Makers(
            self.model, self.extract, self.memory_instructions, self.summary_instructions
        )
        ends = ends_of(self.db, self.ttl)
        return MemoryManager(
            db(self.db), row_v1 if self.version == 1 else row_v2, waits, ends, makers
        )

    def _whose(self, user_id: str | None) -> str | None:
        """Return the user that ``user_id`` means to this object; None is nobody."""
        raise NotImplementedError

    def _session_of(self, user_id: str | None) -> str | None:
        """Return the session that this object is in with that user, or None."""
        return None

    def for_agent(self, is_async: bool) -> AgentView:
        """Return what an ``Agent`` works with. Raises TypeError for an asynchronous database where
        ``is_async`` is not set, ClosedError after ``close()``."""
        return AgentView(self._manager(is_async), self._sessions, self._whose, self._session_of)

    def close(self) -> None:
        """Close the database if it was opened here, by a config string. Safe to repeat."""
        if self._leave():
            run(blocking(self.db).close())

    async def aclose(self) -> None:
        """As ``close``, awaited."""
        if self._leave():
            await awaitable(self.db).close()

    def _leave(self) -> bool:
        """Return whether the database is to be closed: opened here, and held by no copy."""
        if self._closed:
            return False
        self._closed = True
        if self._references is None:
            return False
        self._references.holders -= 1
        return self._references.holders == 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return a copy that shares the database and the model; everything else is its own."""
        twin = object.__new__(type(self))
        memo[id(self)] = twin
        shared = ("db", "model", "extract", "_references")
        for name, value in vars(self).items():
            twin.__dict__[name] = value if name in shared else deepcopy(value, memo)
        if self._references is not None and not self._closed:
            self._references.holders += 1
        return twin

    def __repr__(self) -> str:
        return f"{type(self).__name__}(db={self.db!r})"
