"""A SessionStore of the Claude Agent SDK over any AsyncMemoryDb.

Every transcript is a scope of its own (``claude/<user>/<project>/<session>/[<subpath>/]``), every
entry a row in it. One row for each session, in the scope of its project, holds the session's
running summary; its time of change is the session's.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, cast
from uuid import uuid4
from weakref import WeakValueDictionary

from claude_agent_sdk import fold_session_summary
from claude_agent_sdk.types import (
    SessionKey,
    SessionListSubkeysKey,
    SessionStore,
    SessionStoreEntry,
    SessionStoreListEntry,
    SessionSummaryEntry,
)

from buddy.memory import MemoryRow
from buddy.memory.adapting import as_async, join_scope, split_scope
from buddy.memory.errors import ConflictError, InvalidMemoryError
from buddy.memory.storage.batching import Batcher
from buddy.memory.storage.validation import check_user
from buddy.memory.v2.db.base import AsyncMemoryDb, MemoryDb
from buddy_memory_claude.entries import entry_of, row_of, store

logger = logging.getLogger("buddy.memory")

_MAX_FOLDED = 1_000


class _Failed(NamedTuple):
    """A batch that could not be appended: what was in it, and what its spare ids begin with."""

    content: int
    prefix: str


class BuddySessionStore(SessionStore):
    """Keeps the transcripts of one user's sessions.

    ``db`` is a database or a config string; one that was opened here is closed by ``aclose``, or at
    the end of ``async with``. ``user_id`` sets users apart: two with the same project and session
    see nothing of each other. Every method raises the errors of ``buddy.memory.errors``.
    """

    def __init__(
        self, db: AsyncMemoryDb | MemoryDb | str | Mapping[str, Any], *, user_id: str = ""
    ) -> None:
        check_user(join_scope("claude", user_id))
        self._db = as_async(db)
        self._opened = isinstance(db, (str, Mapping))
        self.user_id = user_id
        self._failed: dict[str, _Failed] = {}
        self._folding: WeakValueDictionary[
            tuple[str, str], Batcher[list[SessionStoreEntry], None]
        ] = WeakValueDictionary()

    async def append(self, key: SessionKey, entries: list[SessionStoreEntry]) -> None:
        """Store entries behind those that are there.

        An entry with a ``uuid`` that is there already is written over, and keeps its place. A batch
        that failed may be appended again: it leaves no entry twice. An entry that cannot be stored,
        because it is too large or no JSON, is an InvalidMemoryError once the others are stored.
        """
        if not entries:
            return
        scope = self._transcript(key)
        before = self._failed.pop(scope, None)
        content = hash(repr(entries)) if before else None
        prefix = before.prefix if before and before.content == content else uuid4().hex
        try:
            await self._append(key, entries, prefix)
        except BaseException:
            self._failed[scope] = _Failed(hash(repr(entries)), prefix)
            raise

    async def _append(self, key: SessionKey, entries: list[SessionStoreEntry], prefix: str) -> None:
        scope = self._transcript(key)
        rows = [row_of(entry, f"{prefix}-{n}", scope) for n, entry in enumerate(entries)]
        refused = await store(self._db, rows)
        stored = [entry for entry, row in zip(entries, rows, strict=True) if row.id not in refused]
        if stored and not key.get("subpath"):
            await self._folder(key).submit(stored)
        for error in refused.values():
            raise error

    def _folder(self, key: SessionKey) -> Batcher[list[SessionStoreEntry], None]:
        """Return what folds into the summary of one session: all that waits, in one write."""
        project, session = key["project_key"], key["session_id"]
        folder = self._folding.get((project, session))
        if folder is None:
            own: SessionKey = {"project_key": project, "session_id": session}
            folder = Batcher(partial(self._fold, own), _MAX_FOLDED)
            self._folding[project, session] = folder
        return folder

    async def _fold(self, key: SessionKey, batches: list[list[SessionStoreEntry]]) -> list[None]:
        """Bring the session's summary up to date, whoever else does so at the same time."""
        entries = [entry for batch in batches for entry in batch]
        project, session = self._project(key["project_key"]), key["session_id"]
        while True:
            before = await self._db.read_memory(session, user_id=project)
            previous = None if before is None or not _is_summary(before) else _summary(before)
            folded = fold_session_summary(previous, key, entries)
            row = MemoryRow({"data": folded["data"]}, session, project)
            try:
                await self._db.upsert_memory(row, if_version=before.version if before else 0)
            except ConflictError:
                continue
            return [None] * len(batches)

    async def load(self, key: SessionKey) -> list[SessionStoreEntry] | None:
        """Return all entries in the order of their first writing, or None when there are none."""
        rows = await self._db.read_memories(self._transcript(key), sort="asc")
        return [entry_of(row) for row in rows] or None

    async def list_sessions(self, project_key: str) -> list[SessionStoreListEntry]:
        """Return the sessions of a project and when each was last written; ``[]`` for none."""
        return [
            {"session_id": summary["session_id"], "mtime": summary["mtime"]}
            for summary in await self.list_session_summaries(project_key)
        ]

    async def list_session_summaries(self, project_key: str) -> list[SessionSummaryEntry]:
        """Return the running summaries of a project's sessions; ``[]`` for none."""
        rows = self._db.iter_memories(self._project(project_key))
        return [_summary(row) async for row in rows if _is_ours(row)]

    async def list_subkeys(self, key: SessionListSubkeysKey) -> list[str]:
        """Return the subpaths under a session, sorted; ``[]`` for none."""
        session = self._transcript(cast(SessionKey, key))
        users = await self._db.list_users(prefix=session)
        return sorted(split_scope(user)[-1] for user in users if user != session)

    async def delete(self, key: SessionKey) -> None:
        """Delete a session with all its subpaths, or what the subpath in ``key`` names alone; an
        empty one names the main transcript. What fails half-way is ended by another call."""
        scope, subpath = self._transcript(key), key.get("subpath")
        if subpath is None:
            await self._db.delete_users(user_prefix=scope)
        else:
            await self._db.delete_user(scope)
        if not subpath:
            # Last: a session is listed until nothing of it is left.
            project = self._project(key["project_key"])
            await self._db.delete_memories([key["session_id"]], user_id=project)

    async def forget(self) -> dict[str, int]:
        """Delete everything of the user; return ``{"memories": n, "summaries": m}``."""
        return await self._db.delete_users(user_prefix=join_scope("claude", self.user_id))

    async def aclose(self) -> None:
        """Close the database when it was opened here."""
        if self._opened:
            await self._db.close()

    async def __aenter__(self) -> BuddySessionStore:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    def _project(self, project: str) -> str:
        return join_scope("claude", self.user_id, project)

    def _transcript(self, key: SessionKey) -> str:
        if key["session_id"] == "":
            raise InvalidMemoryError("must not be empty", "session_id")
        subpath: Sequence[str] = [key["subpath"]] if key.get("subpath") else []
        parts = key["project_key"], key["session_id"], *subpath
        return join_scope("claude", self.user_id, *parts)


def _is_summary(row: MemoryRow) -> bool:
    return isinstance(row.memory.get("data"), dict)


def _is_ours(row: MemoryRow) -> bool:
    """Tell whether a row is a summary, with a warning for one that another program wrote."""
    if not _is_summary(row):
        logger.warning("skipped the row %r of the user %r: no summary", row.id, row.user_id)
    return _is_summary(row)


def _summary(row: MemoryRow) -> SessionSummaryEntry:
    return {
        "session_id": cast(str, row.id),
        "mtime": _milliseconds(cast(datetime, row.last_updated)),
        "data": row.memory["data"],
    }


def _milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)
