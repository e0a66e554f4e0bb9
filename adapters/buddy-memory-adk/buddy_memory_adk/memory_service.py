"""A BaseMemoryService of Google's ADK over any AsyncMemoryDb.

The memories of one user of one app are a scope (``adk/<app>/<user>/``). An event is a row in it,
named by its session and its id, so that a session which is added again adds only what is new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any
from uuid import uuid4

from google.adk.events.event import Event
from google.adk.memory.base_memory_service import BaseMemoryService, SearchMemoryResponse
from google.adk.memory.memory_entry import MemoryEntry
from google.adk.sessions.session import Session
from google.genai.types import Content

from buddy.memory import MemoryRow
from buddy.memory.adapting import as_async, join_scope
from buddy.memory.errors import ConfigError
from buddy.memory.v2.db.base import AsyncMemoryDb, MemoryDb

SCHEME = "buddy:"


class BuddyMemoryService(BaseMemoryService):
    """Keeps what was said in sessions, and finds it again by its words.

    ``db`` is a database or a config string; ``uri`` is what ADK's service registry gives,
    ``buddy:`` before a config string. A database that was opened here is closed by ``close``.
    ``max_results`` is how many memories a search returns at most. Every method raises the errors of
    ``buddy.memory.errors``: an outage never looks like "nothing was said". Raises ConfigError for
    neither ``db`` nor ``uri``, and for both.
    """

    def __init__(
        self,
        db: AsyncMemoryDb | MemoryDb | str | Mapping[str, Any] | None = None,
        *,
        uri: str | None = None,
        max_results: int = 10,
        **_: object,
    ) -> None:
        if (db is None) == (uri is None):
            raise ConfigError("BuddyMemoryService needs either db or uri")
        given = uri.removeprefix(SCHEME) if db is None and uri is not None else db
        self._db = as_async(given)  # type: ignore[arg-type]
        self._opened = isinstance(given, (str, Mapping))
        self._max_results = max_results

    async def add_session_to_memory(self, session: Session) -> None:
        """Store the events of a session; those that are there already stay as they are."""
        await self.add_events_to_memory(
            app_name=session.app_name,
            user_id=session.user_id,
            events=session.events,
            session_id=session.id,
        )

    async def add_events_to_memory(
        self,
        *,
        app_name: str,
        user_id: str,
        events: Sequence[Event],
        session_id: str | None = None,
        custom_metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Store events of a session; those without text, and those that are there, are left out."""
        scope = _scope(app_name, user_id)
        rows = [_row(event, scope, session_id or "", custom_metadata or {}) for event in events]
        said = {row.id: row for row in rows if row.id and row.memory["memory"]}
        known = await self._db.read_memories_by_id(list(said), user_id=scope)
        new = [row for row, there in zip(said.values(), known, strict=True) if there is None]
        await self._db.upsert_memories(new)

    async def add_memory(
        self,
        *,
        app_name: str,
        user_id: str,
        memories: Sequence[MemoryEntry],
        custom_metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Store memories; one with an id that is there replaces it."""
        scope = _scope(app_name, user_id)
        common = dict(custom_metadata or {})
        rows = [
            MemoryRow(
                {
                    "memory": _text(entry.content),
                    "content": entry.content.model_dump(mode="json", exclude_none=True),
                    "author": entry.author,
                    "timestamp": entry.timestamp,
                    "metadata": {**common, **entry.custom_metadata},
                },
                join_scope("", entry.id or uuid4().hex),
                scope,
            )
            for entry in memories
        ]
        await self._db.upsert_memories(rows)

    async def delete_memory(
        self, *, app_name: str, user_id: str, memory_id: str | None = None
    ) -> None:
        """Delete a memory by the id that a search gave; without one, or for another, do nothing.

        A mark without content stays until ``forget_user``: the session it came from, added again,
        does not bring it back.
        """
        scope = _scope(app_name, user_id)
        if memory_id and await self._db.read_memory(memory_id, user_id=scope):
            await self._db.upsert_memory(MemoryRow({"memory": ""}, memory_id, scope))

    async def search_memory(
        self, *, app_name: str, user_id: str, query: str
    ) -> SearchMemoryResponse:
        """Return the user's memories that share words with the query, best first."""
        found = await self._db.search_memories(
            query, user_id=_scope(app_name, user_id), limit=self._max_results
        )
        return SearchMemoryResponse(memories=[_entry(one.row) for one in found])

    async def forget_user(self, *, app_name: str, user_id: str) -> dict[str, int]:
        """Delete all memories of a user in an app; return ``{"memories": n, "summaries": m}``."""
        return await self._db.delete_user(_scope(app_name, user_id))

    async def close(self) -> None:
        """Close the database when it was opened here."""
        if self._opened:
            await self._db.close()


def _scope(app_name: str, user_id: str) -> str:
    return join_scope("adk", app_name, user_id)


def _text(content: Content | None) -> str:
    parts = (content.parts or []) if content is not None else []
    return " ".join(part.text for part in parts if part.text)


def _row(event: Event, scope: str, session_id: str, metadata: Mapping[str, object]) -> MemoryRow:
    content = event.content
    said = datetime.fromtimestamp(event.timestamp, timezone.utc)
    payload = {
        "memory": _text(content),
        "content": content and content.model_dump(mode="json", exclude_none=True),
        "author": event.author,
        "timestamp": said.isoformat(),
        "metadata": dict(metadata),
    }
    return MemoryRow(payload, join_scope(session_id, event.id), scope)


def _entry(row: MemoryRow) -> MemoryEntry:
    kept = row.memory
    return MemoryEntry(
        content=Content.model_validate(kept["content"]),
        custom_metadata=kept["metadata"],
        id=row.id,
        author=kept["author"],
        timestamp=kept["timestamp"],
    )
