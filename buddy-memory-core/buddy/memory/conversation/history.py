"""The history of sessions: the runs that a memory object has seen, kept in this process only."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from buddy.memory.conversation.messages import Message, as_messages
from buddy.memory.conversation.turns import Turns
from buddy.memory.storage import clock
from buddy.memory.storage.validation import check_limit

DEFAULT_USER = "default"


def owner(user_id: str | None) -> str:
    """Return the user that ``user_id`` means: None is "default"."""
    return DEFAULT_USER if user_id is None else user_id


def owner_of(thing: Any, user_id: str | None) -> str:
    """Return the user of a memory or a run: ``user_id``, or without it the one that it names."""
    return owner(getattr(thing, "user_id", None) if user_id is None else user_id)


def _new_id() -> str:
    return str(uuid4())


@dataclass
class RunResponse:
    """What one run of an agent gave: the model's answer and the messages that were exchanged.

    ``messages`` holds this run's own messages only, not the history that stood before them.
    """

    content: str = ""
    messages: list[Message] = field(default_factory=list[Message])
    session_id: str | None = None
    user_id: str | None = None
    run_id: str = field(default_factory=_new_id)
    created_at: datetime = field(default_factory=clock.utc_now)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON types, without those that are None."""
        shown = {**vars(self), "created_at": self.created_at.isoformat()}
        return {key: value for key, value in shown.items() if value is not None}


class Session:
    """The runs of one session, in order, and which of them a summary already covers."""

    def __init__(self) -> None:
        self.runs: list[RunResponse] = []
        self._covered: set[str] = set()
        self.turns = Turns()
        """Whose turn it is to summarise: the next one takes what came in the meantime along."""

    def add(self, run: RunResponse) -> None:
        """Append a run, or put it in the place of the one with its ``run_id``."""
        if not isinstance(run, RunResponse):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"a run is a RunResponse, not {type(run).__name__}")
        run.messages = as_messages(run.messages)
        for index, known in enumerate(self.runs):
            if known.run_id == run.run_id:
                self.runs[index] = run
                self._covered.discard(run.run_id)
                return
        self.runs.append(run)

    def remove(self, run_id: str) -> None:
        """Forget the run with that id, if there is one."""
        self.runs = [run for run in self.runs if run.run_id != run_id]
        self._covered.discard(run_id)

    def messages(self, last_n: int | None = None, skip_role: str | None = None) -> list[Message]:
        """Return copies of the messages of the last ``last_n`` runs (None: all), oldest first."""
        wanted = check_limit(last_n)
        runs = self.runs if wanted is None else self.runs[max(len(self.runs) - wanted, 0) :]
        return [dict(m) for run in runs for m in run.messages if m["role"] != skip_role]

    @contextmanager
    def to_summarise(self) -> Generator[list[Message]]:
        """Give the messages that no summary covers yet; they count as covered unless it fails.

        Taken at once, so that runs which are summarised side by side tell nothing twice.
        """
        runs = [run for run in self.runs if run.run_id not in self._covered]
        ids = {run.run_id for run in runs}
        self._covered |= ids
        try:
            yield [message for run in runs for message in run.messages]
        except BaseException:
            self._covered -= ids
            raise


def run_of(messages: Any) -> RunResponse:
    """Return a run that holds ``messages`` (see ``as_messages``); its answer is the last one."""
    said = as_messages(messages)
    return RunResponse(_last_answer(said), said)


def _last_answer(messages: Iterable[Message]) -> str:
    answers = [message["content"] for message in messages if message["role"] == "assistant"]
    return answers[-1] if answers else ""


class SeenSessions:
    """The runs of sessions, each session apart for each user. The database is never touched."""

    def __init__(self) -> None:
        self._sessions: dict[tuple[str, str], Session] = {}

    def add_run(self, session_id: str, run: RunResponse, user_id: str | None = None) -> None:
        """Note a run of a session; one with the same ``run_id`` takes its old place.

        Without ``user_id`` it belongs to the run's user.
        """
        key = owner_of(run, user_id), session_id
        self._sessions.setdefault(key, Session()).add(run)

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

    def _shown(self) -> list[dict[str, Any]]:
        """Return all runs by session, as JSON types."""
        return [
            {"user_id": user, "session_id": id, "runs": [run.to_dict() for run in session.runs]}
            for (user, id), session in self._sessions.items()
        ]

    def _session(self, session_id: str, user_id: str | None) -> Session:
        return self._sessions.get((owner(user_id), session_id)) or Session()
