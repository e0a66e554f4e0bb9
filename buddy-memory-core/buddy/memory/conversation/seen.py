"""What ``Memory`` tells of the sessions that it has seen. The database is never touched."""

from __future__ import annotations

from typing import Any

from buddy.memory.conversation.history import RunResponse, Sessions, owner, owner_of, run_of
from buddy.memory.conversation.messages import Message


class SeenSessions:
    """The runs of sessions, each session apart for each user."""

    _sessions: Sessions

    def add_run(self, session_id: str, run: RunResponse, user_id: str | None = None) -> None:
        """Note a run of a session; one with the same ``run_id`` takes its old place.

        Without ``user_id`` it belongs to the run's user.
        """
        self._sessions.seen(owner_of(run, user_id), session_id).add(run)

    def add_messages(self, session_id: str, messages: Any, user_id: str | None = None) -> None:
        """Note messages of a session, as one run."""
        self.add_run(session_id, run_of(messages), user_id)

    def get_runs(self, session_id: str, user_id: str | None = None) -> list[RunResponse]:
        """Return the runs of that session of the user, oldest first."""
        return list(self._sessions.get(owner(user_id), session_id).runs)

    def get_messages_from_last_n_runs(
        self,
        session_id: str,
        last_n: int | None = None,
        skip_role: str | None = None,
        user_id: str | None = None,
    ) -> list[Message]:
        """Return the messages of the last ``last_n`` runs (None: all), oldest first."""
        return self._sessions.get(owner(user_id), session_id).messages(last_n, skip_role)

    def forget_run(self, session_id: str, run_id: str, user_id: str | None = None) -> None:
        """Forget one run, if it was noted."""
        self._sessions.get(owner(user_id), session_id).remove(run_id)

    def forget_session(self, session_id: str, user_id: str | None = None) -> None:
        """Forget the runs of a session, for one that is over."""
        self._sessions.forget(owner(user_id), session_id)
