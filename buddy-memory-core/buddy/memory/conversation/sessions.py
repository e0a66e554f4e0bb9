"""The sessions that a memory object has seen, kept in this process only."""

from __future__ import annotations

from typing import Any

from buddy.memory.conversation.messages import Message
from buddy.memory.conversation.runs import RunResponse, Session, run_of

DEFAULT_USER = "default"


def owner(user_id: str | None) -> str:
    """Return the user that ``user_id`` means: None is "default"."""
    return DEFAULT_USER if user_id is None else user_id


class SeenSessions:
    """The runs of sessions, each session apart for each user. The database is never touched."""

    def __init__(self) -> None:
        self._sessions: dict[tuple[str, str], Session] = {}

    def add_run(self, session_id: str, run: RunResponse, user_id: str | None = None) -> None:
        """Note a run of a session; one with the same ``run_id`` takes its old place.

        Without ``user_id`` it belongs to the run's user.
        """
        user = getattr(run, "user_id", None) if user_id is None else user_id
        self._sessions.setdefault((owner(user), session_id), Session()).add(run)

    def add_messages(self, session_id: str, messages: Any, user_id: str | None = None) -> None:
        """Note messages of a session, as one run."""
        self.add_run(session_id, run_of(messages), user_id)

    def get_runs(self, session_id: str, user_id: str | None = None) -> list[RunResponse]:
        """Return the runs of that session of the user, oldest first."""
        return list(self._session(session_id, user_id).runs)

    def get_messages_from_last_n_runs(
        self,
        session_id: str,
        last_n: int | None = None,
        skip_role: str | None = None,
        user_id: str | None = None,
    ) -> list[Message]:
        """Return the messages of the last ``last_n`` runs (None: all), oldest first."""
        return self._session(session_id, user_id).messages(last_n, skip_role)

    def forget_run(self, session_id: str, run_id: str, user_id: str | None = None) -> None:
        """Forget one run, if it was noted."""
        self._session(session_id, user_id).remove(run_id)

    def forget_session(self, session_id: str, user_id: str | None = None) -> None:
        """Forget the runs of a session, for one that is over."""
        self._sessions.pop((owner(user_id), session_id), None)

    def _forget_user(self, user_id: str) -> None:
        for key in [key for key in list(self._sessions) if key[0] == user_id]:
            self._sessions.pop(key, None)

    def _session(self, session_id: str, user_id: str | None) -> Session:
        return self._sessions.get((owner(user_id), session_id)) or Session()
