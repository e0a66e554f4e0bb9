"""A Session of the OpenAI Agents SDK over any AsyncMemoryDb.

A session is a scope of its own (``openai/<user>/<session>/``), each item a row in it:
``{"item": item}``, or ``{"item_json": text}`` where rule R8 refuses what the item holds.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any, cast

from agents.items import TResponseInputItem
from agents.memory import SessionABC, SessionSettings
from agents.memory.session_settings import coerce_session_settings

from buddy.memory import MemoryRow
from buddy.memory.adapting import as_async, join_scope
from buddy.memory.errors import ConfigError, InvalidMemoryError
from buddy.memory.payload import encode
from buddy.memory.v2.db.base import AsyncMemoryDb, MemoryDb

logger = logging.getLogger("buddy.memory")


class BuddySession(SessionABC):
    """The history of one conversation of one user.

    ``db`` is a database or a config string; one that was opened here is closed by ``aclose``, or at
    the end of ``async with``. Share one database between sessions: it holds the connections.
    ``user_id`` sets users apart: two with the same session id see nothing of each other. Every
    method raises the errors of ``buddy.memory.errors``. Raises ConfigError for a negative limit in
    ``session_settings``.
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
        self.session_settings: SessionSettings | None = coerce_session_settings(
            session_settings if session_settings is not None else SessionSettings()
        )
        limit = self.session_settings.limit
        if limit is not None and limit < 0:
            raise ConfigError(f"session_settings.limit must not be negative: {limit}; None is all")
        self._db = as_async(db)
        self._opened = isinstance(db, (str, Mapping))
        self._scope = join_scope("openai", user_id, session_id)

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """Return the items in the order in which they were added, the newest ``limit`` of them.

        None: as many as ``session_settings.limit`` says, else all. Raises ConfigError for a
        negative limit.
        """
        # They may have been replaced, also by a dict, as in the SDK's own sessions.
        if limit is None and self.session_settings is not None:
            limit = coerce_session_settings(self.session_settings).limit
        return [item for _, item in reversed(await self._newest(limit))]

    async def _newest(self, limit: int | None) -> list[tuple[str, TResponseInputItem]]:
        """Return the newest items with the ids of their rows, newest first.

        Rows that another program wrote are skipped with one warning each, and do not take the place
        of an item.
        """
        window = limit
        while True:
            rows = await self._db.read_memories(self._scope, window, "desc")
            found, foreign = _with_items(rows)
            if window is None or limit is None or len(found) >= limit or len(rows) < window:
                break
            window *= 2
        for row in foreign:
            logger.warning("skipped the row %r of the user %r: no item", row.id, row.user_id)
        return found[:limit]

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Add items behind those that are there; stores all, or raises with ``error.stored``."""
        if items:
            rows = [MemoryRow(_payload(item), user_id=self._scope) for item in items]
            await self._db.upsert_memories(rows)

    async def pop_item(self) -> TResponseInputItem | None:
        """Take the newest item away and return it, or None when there is none.

        However many take at once, each item is given to one of them.
        """
        while True:
            newest = await self._newest(1)
            if not newest:
                return None
            [(id, item)] = newest
            if await self._db.delete_memories([id], user_id=self._scope):
                return item

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


def _payload(item: TResponseInputItem) -> dict[str, Any]:
    """Return what is stored. Raises InvalidMemoryError for an item that is no JSON at all."""
    try:
        return encode({"item": item})
    except InvalidMemoryError:
        try:
            return {"item_json": json.dumps(item)}
        except (TypeError, ValueError, RecursionError):
            pass
        raise


def _with_items(
    rows: Sequence[MemoryRow],
) -> tuple[list[tuple[str, TResponseInputItem]], list[MemoryRow]]:
    """Return the items with the ids of their rows, and the rows that hold none."""
    found, foreign = [], []
    for row in rows:
        try:
            found.append((cast(str, row.id), _item(row.memory)))
        except (KeyError, TypeError, ValueError, RecursionError):
            foreign.append(row)
    return found, foreign


def _item(kept: dict[str, Any]) -> TResponseInputItem:
    item = kept["item"] if "item" in kept else json.loads(kept["item_json"])
    return cast(TResponseInputItem, item)
