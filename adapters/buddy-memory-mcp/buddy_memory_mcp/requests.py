"""One request: whose it is, and what its client is told when it fails."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Concatenate, ParamSpec, TypeVar

from mcp.server.mcpserver.exceptions import ResourceError, ToolError

from buddy.memory.adapting import as_async
from buddy.memory.config import redact
from buddy.memory.errors import (
    BackendLoadError,
    ConfigError,
    ConflictError,
    InvalidMemoryError,
    MemoryDbError,
    UnavailableError,
)
from buddy.memory.v2.db.base import AsyncMemoryDb, MemoryDb
from buddy_memory_mcp.memories import whole

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)


class RefusedError(ToolError, ResourceError):
    """What a client is told, by a tool and by a resource alike."""


class Requests:
    """Asks a database for the user of the request under way.

    ``db`` is a database or a config; ``opened`` tells whether it was opened here. ``whose`` returns
    the user. Raises TypeError and ConfigError for anything else.
    """

    def __init__(
        self, db: AsyncMemoryDb | MemoryDb | str | Mapping[str, Any], whose: Callable[[], str]
    ) -> None:
        if not callable(whose) or inspect.iscoroutinefunction(whose):
            raise TypeError("whose is a function, not a coroutine, that returns the user")
        self._whose = whose
        self.opened = isinstance(db, (str, Mapping))
        self.db = as_async(db)

    async def ask(
        self,
        what: Callable[Concatenate[AsyncMemoryDb, str, P], Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what a function of ``memories`` does for the user. Raises RefusedError."""
        user = self._user()
        try:
            return await what(self.db, user, *args, **kwargs)
        except MemoryDbError as error:
            raise RefusedError(_reason(error)) from None

    def _user(self) -> str:
        """Return the user, who is never nobody: to the database that may be everybody."""
        try:
            user: object = self._whose()
        except ToolError as error:
            raise RefusedError(str(error)) from None
        if isinstance(user, str) and user:
            return user
        raise RefusedError("this request names no user")


def _reason(error: MemoryDbError) -> str:
    """Return what a client is told: of its own call all, of the server nothing. The log has it."""
    name, text = type(error).__name__, redact(str(error))
    of_the_call = isinstance(error, (InvalidMemoryError, ConflictError, ConfigError))
    if of_the_call and not isinstance(error, BackendLoadError):
        return whole(f"{name}: {text}")
    logger.warning("%s: %s", name, text)
    if isinstance(error, UnavailableError):
        return f"{name}: the store does not answer; try again later"
    return f"{name}: the log of the server says why"
