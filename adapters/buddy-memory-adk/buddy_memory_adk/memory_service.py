"""A BaseMemoryService of Google's ADK over any AsyncMemoryDb.

The memories of one user of one app are a scope (``adk/<app>/<user>/``). An event is a row in it,
named by its session and its id, so that a session may be added again and again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from google.adk.events.event import Event
from google.adk.memory.base_memory_service import BaseMemoryService, SearchMemoryResponse
from google.adk.memory.memory_entry import MemoryEntry
from google.adk.sessions.session import Session

from buddy.memory import MemoryRow
from buddy.memory.adapting import as_async, join_scope
from buddy.memory.errors import ConfigError, CorruptMemoryError, TooLargeError
from buddy.memory.payload import encode
from buddy.memory.v2.db.base import AsyncMemoryDb, MemoryDb
from buddy_memory_adk.rows import DELETED, event_row, is_event, memory_row, readable_entry

logger = logging.getLogger("buddy.memory")

SCHEME = "buddy:"


class BuddyMemoryService(BaseMemoryService):
    """Keeps what was said in sessions, and finds it again by its words.

    ``db`` is a database or a config string; ``uri`` is what ADK's service registry gives,
    ``buddy:`` before a config string. A database that was opened here is closed by ``close``.
    ``max_results`` is how many memories a search returns at most. ``agents_dir``, which the
    registry gives to every service, is not used. Every method raises the errors of
    ``buddy.memory.errors``: an outage never looks like "nothing was said". Raises ConfigError for
    neither ``db`` nor ``uri``, for both, and for an option that there is not.
    """

    def __init__(
        self,
        db: AsyncMemoryDb | MemoryDb | str | Mapping[str, Any] | None = None,
        *,
        uri: str | None = None,
        max_results: int = 10,
        agents_dir: str | None = None,
        **unknown: object,
    ) -> None:
        _refuse(unknown)
        if (db is None) == (uri is None):
            raise ConfigError("BuddyMemoryService needs either db or uri")
        if type(max_results) is not int or max_results < 0:
            raise ConfigError(f"max_results must be an int >= 0, not {max_results!r:.80}")
        given = _config(uri) if db is None and uri is not None else db
        self._db = as_async(given)  # type: ignore[arg-type]
        self._opened = isinstance(given, (str, Mapping))
        self._max_results = max_results

    async def add_session_to_memory(self, session: Session) -> None:
        """Store the events of a session, those that are there as the session has them now.

        What ``add_memory`` or ``delete_memory`` did to one of them holds. Events that the session
        no longer has stay: it may have been loaded with its latest events only.
        """
        scope = _scope(session.app_name, session.user_id)
        await self._add(session.events, scope, session.id, {}, replace=True)

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
        scope, metadata = _scope(app_name, user_id), _metadata(custom_metadata)
        await self._add(events, scope, session_id or "", metadata, replace=False)

    async def _add(
        self,
        events: Sequence[Event],
        scope: str,
        session_id: str,
        metadata: Mapping[str, Any],
        *,
        replace: bool,
    ) -> None:
        given = [event_row(event, scope, session_id, metadata) for event in events]
        rows = {str(row.id): row for row in given}
        new, gone = [], []
        for id, there in (await self._known(rows, scope)).items():
            row = rows[id]
            if there is not None:
                if not (replace and is_event(there)):
                    continue
                row.memory["metadata"] = there.memory["metadata"]
            if not row.memory["memory"]:
                gone += [id] if there else []
            elif there is None or row.memory != there.memory:
                new.append(row)
        await self._store(new)
        await self._db.delete_memories(gone, user_id=scope)

    async def _known(self, ids: Iterable[str], scope: str) -> dict[str, Any]:
        """Return the row, or None, of each id; a damaged one is left out, with one warning."""
        readable = list(ids)
        while True:
            try:
                found = await self._db.read_memories_by_id(readable, user_id=scope)
                return dict(zip(readable, found, strict=True))
            except CorruptMemoryError as error:
                logger.warning("left out the event %r: its row: %s", error.id, error.reason)
                readable.remove(error.id)

    async def _store(self, rows: Sequence[MemoryRow]) -> None:
        """Store rows; one that is too large for the backend is left out, with one warning."""
        try:
            await self._db.upsert_memories(rows)
            return
        except TooLargeError:  # does not tell which one
            pass
        for row in rows:
            try:
                await self._db.upsert_memory(row)
            except TooLargeError as error:
                logger.warning("left out the event %r: %s", row.id, error)

    async def add_memory(
        self,
        *,
        app_name: str,
        user_id: str,
        memories: Sequence[MemoryEntry],
        custom_metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Store memories; one with the id of another, as a search gives it, replaces that.

        Without an id it gets one.
        """
        scope, metadata = _scope(app_name, user_id), _metadata(custom_metadata)
        await self._db.upsert_memories([memory_row(one, scope, metadata) for one in memories])

    async def delete_memory(
        self, *, app_name: str, user_id: str, memory_id: str | None = None
    ) -> None:
        """Delete a memory by the id that a search gives; without one, or for another, do nothing.

        A mark without content stays until ``forget_user``: the session it came from, added again,
        does not bring it back.
        """
        scope = _scope(app_name, user_id)
        there = await self._db.read_memory(memory_id, user_id=scope) if memory_id else None
        if there is not None and readable_entry(there) is not None:
            await self._db.upsert_memory(MemoryRow(DELETED, memory_id, scope))

    async def search_memory(
        self, *, app_name: str, user_id: str, query: str
    ) -> SearchMemoryResponse:
        """Return the user's memories that share words with the query, best first."""
        scope, most, offset = _scope(app_name, user_id), self._max_results, 0
        memories: list[MemoryEntry] = []
        while True:
            found = await self._db.search_memories(query, user_id=scope, limit=most, offset=offset)
            memories += [entry for one in found if (entry := readable_entry(one.row))]
            # Rows that are no memories do not take the places of those that are.
            if len(memories) >= most or len(found) < most:
                return SearchMemoryResponse(memories=memories[:most])
            offset += len(found)

    async def forget_user(self, *, app_name: str, user_id: str) -> dict[str, int]:
        """Delete all memories of a user in an app; return ``{"memories": n, "summaries": m}``."""
        return await self._db.delete_user(_scope(app_name, user_id))

    async def close(self) -> None:
        """Close the database when it was opened here."""
        if self._opened:
            await self._db.close()


def _scope(app_name: str, user_id: str) -> str:
    return join_scope("adk", app_name, user_id)


def _metadata(given: Mapping[str, object] | None) -> dict[str, Any]:
    return encode(dict(given or {}), "custom_metadata")


def _config(uri: str) -> str:
    """Return the config string of ``buddy:sqlite:///…``, or ``buddy://sqlite:///…``."""
    return uri.removeprefix(SCHEME).removeprefix("//")


def _refuse(unknown: Mapping[str, object]) -> None:
    options = ("db", "uri", "max_results")
    for name in unknown:
        near = get_close_matches(name, options, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(options)}"
        raise ConfigError(f"BuddyMemoryService has no option {name!r}; {hint}")
