"""The memories of users in a database: added, read, changed, deleted and found.

Every method is ``async`` over an awaitable view of the database. Synchronous methods drive it with
``run``, asynchronous ones await it. Arguments and errors are those of the methods of ``Memory``.
A ``user_id`` of None is nobody, and never everybody: each call to the database names the user.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from buddy.memory.conversation.conflicts import repeated
from buddy.memory.conversation.ends import Ends
from buddy.memory.conversation.retrieval import ALL, METHODS, check_method
from buddy.memory.conversation.rows import named
from buddy.memory.conversation.waits import Waits
from buddy.memory.errors import ConfigError, InvalidMemoryError
from buddy.memory.filters import Where
from buddy.memory.storage.expiry import Ttl
from buddy.memory.storage.validation import check_limit
from buddy.memory.v2.schema import UserMemory


@dataclass(frozen=True)
class UserMemories:
    """One database, how its rows are made, how its calls wait, and when rows end."""

    db: Any
    make_row: Callable[[UserMemory, str, str | None], Any]
    waits: Waits
    ends: Ends

    async def add(self, memory: UserMemory, user_id: str, ttl: Ttl = None) -> str:
        """Store a memory of that user; return its id."""
        _check_memory(memory)
        if memory.memory_id is None:
            # Kept on the object, so that a repeated call leaves one row.
            memory.memory_id = _new_id()
        row = self.make_row(memory, memory.memory_id, user_id)
        ends = self.ends.new if ttl is None else {"ttl": ttl}
        stored = await self.db.upsert_memory(row, **ends)
        return str(stored.id)

    async def get(self, id: str, user_id: str | None) -> UserMemory | None:
        """Return that memory of the user, or None."""
        row = await self.db.read_memory(id, user_id=named(user_id))
        return None if row is None else UserMemory.from_row(row)

    async def read(
        self, user_id: str | None, limit: int | None = None, sort: str | None = None
    ) -> list[UserMemory]:
        """Return memories of exactly that user."""
        rows = await self.db.read_memories(user_id=named(user_id), limit=limit, sort=sort)
        return [UserMemory.from_row(row) for row in rows]

    async def replace(self, id: str, memory: UserMemory, user_id: str) -> str | None:
        """Replace the content of that memory of the user; return its id, or None."""
        _check_memory(memory)
        payload = memory.payload()
        row = await self._change(id, user_id, lambda _: payload)
        return None if row is None else str(row.id)

    async def delete(self, id: str, user_id: str | None) -> bool:
        """Delete that memory of the user; tell whether there was one."""
        return bool(await self.db.delete_memories([id], user_id=named(user_id)))

    async def search(
        self,
        query: str | None,
        limit: int | None,
        method: str | None,
        user_id: str | None,
        where: Where | None = None,
    ) -> list[UserMemory]:
        """Return memories of that user as one of ``retrieval.METHODS`` chooses them."""
        method = check_method(
            method or ("last_n" if query is None else "keyword"), METHODS, "retrieval_method"
        )
        if method in ("last_n", "first_n"):
            return await self.read(user_id, limit, "asc" if method == "first_n" else "desc")
        if not isinstance(query, str):
            raise ConfigError(f"a {method} search needs a query, a text")
        limit = ALL if check_limit(limit) is None else limit
        found = await self.db.search_memories(
            query, user_id=named(user_id), where=where, limit=limit, method=method
        )
        return [UserMemory.from_row(result.row) for result in found]

    async def _change(
        self, id: str, user_id: str | None, change: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> Any:
        """Change a stored row and return it, or None when that user has no such row.

        The version is compared, so a row that is deleted meanwhile does not come back and no
        other change is lost. (A plugin without versions cannot promise either.)
        """

        async def step() -> Any:
            row = await self.db.read_memory(id, user_id=named(user_id))
            if row is None:
                return None
            row.memory = change(row.memory)
            condition = {} if row.version is None else {"if_version": row.version}
            return await self.db.upsert_memory(row, **condition, **self.ends.kept)

        return await repeated(step, self.waits.pause)


def _check_memory(memory: object) -> None:
    if not isinstance(memory, UserMemory):
        raise InvalidMemoryError(f"a memory is a UserMemory, not {type(memory).__name__}")


def _new_id() -> str:
    return str(uuid4())
