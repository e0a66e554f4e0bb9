"""A Session of the OpenAI Agents SDK over any AsyncMemoryDb.

A session is a scope of its own (``openai/<user>/<session>/``), each item a row in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from agents.items import TResponseInputItem
from agents.memory import SessionABC, SessionSettings
from agents.memory.session_settings import coerce_session_settings

from buddy.memory import MemoryRow
from buddy.memory.adapting import as_async, join_scope
from buddy.memory.v2.db.base import AsyncMemoryDb, MemoryDb


class BuddySession(SessionABC):
    """The history of one conversation of one user.

    ``db`` is a database or a config string; one that was opened here is closed by ``aclose``, or at
    the end of ``async with``. Share one database between sessions: it holds the connections.
    ``user_id`` sets users apart: two with the same session id see nothing of each other. Every
    method raises the errors of ``buddy.memory.errors``.
    """

    def __init__(
        self,
        session_id: str,
        db: AsyncMemoryDb | MemoryDb | str | Mapping[str, Any],
        *,
        user_id: str = "",
        session_settings: SessionSettings | dict[str, Any] | None = None,
    ) -> None:
        self.session_id = session_id
        self.user_id = user_id
        self.session_settings = coerce_session_settings(session_settings or SessionSettings())
        self._db = as_async(db)
        self._opened = isinstance(db, (str, Mapping))
        self._scope = join_scope("openai", user_id, session_id)

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """Return the items in the order in which they were added, the newest ``limit`` of them.

        None: as many as ``session_settings.limit`` says, else all. ``[]`` when there are none, or
        for a limit below 1.
        """
        if limit is None and self.session_settings is not None:
            limit = self.session_settings.limit
        if limit is not None and limit < 1:
            return []
        rows = await self._db.read_memories(self._scope, limit, "desc")
        return [_item(row) for row in reversed(rows)]

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Add items behind those that are there; stores all, or raises with ``error.stored``."""
        if items:
            rows = [MemoryRow({"item": item}, user_id=self._scope) for item in items]
            await self._db.upsert_memories(rows)

    async def pop_item(self) -> TResponseInputItem | None:
        """Take the newest item away and return it, or None when there is none.

        However many take at once, each item is given to one of them.
        """
        while True:
            newest = await self._db.read_memories(self._scope, 1, "desc")
            if not newest:
                return None
            if await self._db.delete_memories([newest[0].id], user_id=self._scope):
                return _item(newest[0])

    async def clear_session(self) -> None:
        """Delete all items of the session."""
        await self._db.delete_user(self._scope)

    async def forget_user(self) -> dict[str, int]:
        """Delete all sessions of the user; return ``{"memories": n, "summaries": m}``."""
        return await self._db.delete_users(user_prefix=join_scope("openai", self.user_id))

    async def aclose(self) -> None:
        """Close the database when it was opened here."""
        if self._opened:
            await self._db.close()

    async def __aenter__(self) -> BuddySession:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()


def _item(row: MemoryRow) -> TResponseInputItem:
    return cast(TResponseInputItem, row.memory["item"])
