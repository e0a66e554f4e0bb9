"""What Memory and AgentMemory share: holding a database and a model, closing, and copying."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from typing_extensions import Self

from buddy.memory.conversation.conflicts import Pause, pause_awaiting, pause_blocking
from buddy.memory.conversation.manager import MemoryManager
from buddy.memory.conversation.models import Ask, Model, ask_awaiting, ask_blocking, check_model
from buddy.memory.conversation.opening import awaitable, blocking, open_db
from buddy.memory.conversation.rows import row_v1, row_v2
from buddy.memory.errors import ClosedError
from buddy.memory.storage.rules import RefCount
from buddy.memory.storage.sync_runner import run


class MemoryBase:
    """A database and a model. ``db`` is the one that was given, or the one that was opened.

    A database that the caller made stays the caller's and is never closed here.
    """

    version: int

    def __init__(self, db: Any, model: Model | None) -> None:
        self.db, opened = open_db(db, type(self).__name__, self.version)
        self.model = check_model(model)
        self._references = RefCount() if opened else None
        self._closed = False

    @property
    def _sync(self) -> MemoryManager:
        """For synchronous methods, driven by ``run``."""
        return self._manager(blocking(self._open_db), ask_blocking, pause_blocking)

    @property
    def _async(self) -> MemoryManager:
        """For asynchronous methods."""
        return self._manager(awaitable(self._open_db), ask_awaiting, pause_awaiting)

    @property
    def _open_db(self) -> Any:
        if self._closed:
            raise ClosedError(type(self).__name__)
        return self.db

    def _manager(self, db: Any, ask: Ask, pause: Pause) -> MemoryManager:
        make_row = row_v1 if self.version == 1 else row_v2
        return MemoryManager(db, make_row, ask, pause, self.model)

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
        shared = ("db", "model", "_references")
        for name, value in vars(self).items():
            twin.__dict__[name] = value if name in shared else deepcopy(value, memo)
        if self._references is not None and not self._closed:
            self._references.holders += 1
        return twin

    def __repr__(self) -> str:
        return f"{type(self).__name__}(db={self.db!r})"
