"""The summaries of sessions, as ``Memory`` gives them."""

from __future__ import annotations

from typing import Any

from buddy.memory.conversation.base import MemoryBase
from buddy.memory.conversation.history import DEFAULT_USER, Session, owner
from buddy.memory.conversation.messages import as_messages
from buddy.memory.errors import ConfigError
from buddy.memory.storage.sync_runner import run
from buddy.memory.v2.schema import SessionSummary


class SessionSummaries(MemoryBase):
    """Summaries of sessions, each named by its session and its user."""

    def create_session_summary(
        self, session_id: str, user_id: str | None = None, messages: Any = None
    ) -> SessionSummary | None:
        """Summarise a session, store the summary in the database and return it.

        With ``messages`` the summary covers exactly these and replaces the stored one. Without,
        it goes on from the stored one with what ``add_run`` and ``add_messages`` brought since.
        When nothing was said, nothing is written and the stored summary, or None, comes back.
        Two users may have sessions of one id, each with a summary. Without a model the summary is
        extractive, by the rule in ``buddy.memory.conversation.summary``. Raises ConfigError when
        this session was noted without a user and is summarised for another user.
        """
        manager, user = self._sync, owner(user_id)
        if messages is not None:
            return run(manager.summarise(session_id, user, as_messages(messages), False))
        return run(manager.go_on(self._noted(user, session_id), session_id, user))

    async def acreate_session_summary(
        self, session_id: str, user_id: str | None = None, messages: Any = None
    ) -> SessionSummary | None:
        """As ``create_session_summary``, awaited."""
        manager, user = self._async, owner(user_id)
        if messages is not None:
            return await manager.summarise(session_id, user, as_messages(messages), False)
        return await manager.go_on(self._noted(user, session_id), session_id, user)

    def get_session_summary(
        self, session_id: str, *, user_id: str | None = None
    ) -> SessionSummary | None:
        """Return the stored summary of that session of the user, or None."""
        return run(self._sync.summary(session_id, owner(user_id)))

    async def aget_session_summary(
        self, session_id: str, *, user_id: str | None = None
    ) -> SessionSummary | None:
        """As ``get_session_summary``, awaited."""
        return await self._async.summary(session_id, owner(user_id))

    def get_session_summaries(
        self, user_id: str | None = None, limit: int | None = None, sort: str | None = None
    ) -> list[SessionSummary]:
        """Return the user's summaries, newest session first (``sort="asc"``: oldest first)."""
        return run(self._sync.summaries(owner(user_id), limit, sort))

    async def aget_session_summaries(
        self, user_id: str | None = None, limit: int | None = None, sort: str | None = None
    ) -> list[SessionSummary]:
        """As ``get_session_summaries``, awaited."""
        return await self._async.summaries(owner(user_id), limit, sort)

    def delete_session_summary(self, session_id: str, *, user_id: str | None = None) -> bool:
        """Delete the summary of that session of the user; tell whether there was one."""
        return run(self._sync.delete_summary(session_id, owner(user_id)))

    async def adelete_session_summary(self, session_id: str, *, user_id: str | None = None) -> bool:
        """As ``delete_session_summary``, awaited."""
        return await self._async.delete_summary(session_id, owner(user_id))

    def _noted(self, user: str, session_id: str) -> Session:
        session = self._sessions.get(user, session_id)
        # Noted without a user, the messages would silently be left out of this summary.
        if not session.runs and self._sessions.get(DEFAULT_USER, session_id).runs:
            raise ConfigError(
                f"the session {session_id!r} was noted for the user {DEFAULT_USER!r} only: pass "
                f"user_id={user!r} to add_run or add_messages, too"
            )
        return session
