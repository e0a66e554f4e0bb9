"""The history of sessions: the runs that a memory object has seen, kept in this process only.

Histories are bounded. Of the sessions those used last are kept, of each the runs noted last.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import uuid4

from buddy.memory.conversation.messages import Message, as_messages
from buddy.memory.conversation.turns import Turns
from buddy.memory.storage import clock
from buddy.memory.storage.validation import check_limit

K = TypeVar("K")
V = TypeVar("V")

DEFAULT_USER = "default"

MAX_SESSIONS = 1_000
"""How many sessions a memory object keeps the history of, where the caller says nothing else."""

MAX_RUNS = 100
"""How many runs of a session are kept, where the caller says nothing else."""


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
    ``not_read`` and ``not_stored`` hold the errors of a memory that failed, by what is missing:
    "user_memories" or "session_summary". Both are empty unless ``on_memory_error="answer"``.
    """

    content: str = ""
    messages: list[Message] = field(default_factory=list[Message])
    session_id: str | None = None
    user_id: str | None = None
    run_id: str = field(default_factory=_new_id)
    created_at: datetime = field(default_factory=clock.utc_now)
    not_read: dict[str, Exception] = field(default_factory=dict[str, Exception])
    not_stored: dict[str, Exception] = field(default_factory=dict[str, Exception])

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON types, without those that are None, and errors as texts."""
        shown: dict[str, Any] = {**vars(self), "created_at": self.created_at.isoformat()}
        for key in ("not_read", "not_stored"):
            errors = {what: f"{type(e).__name__}: {e}" for what, e in shown[key].items()}
            shown[key] = errors or None
        return {key: value for key, value in shown.items() if value is not None}


class Session:
    """The last ``max_runs`` runs of one session (None: all), in order, and which of them a summary
    already covers."""

    def __init__(self, max_runs: int | None = MAX_RUNS) -> None:
        self.max_runs = max_runs
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
        if self.max_runs is not None and len(self.runs) > self.max_runs:
            gone = self.runs[: len(self.runs) - self.max_runs]
            del self.runs[: len(gone)]
            self._covered.difference_update(run.run_id for run in gone)

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


class RecentlyUsed(Generic[K, V]):
    """The entries used last, ``most`` of them (None: all). Threads may share it."""

    def __init__(self, most: int | None) -> None:
        self.most = most
        # Its single operations are atomic, so that no lock is needed, which no copy could take.
        self._entries: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        """Return that entry, or None."""
        found = self._entries.get(key)
        with suppress(KeyError):  # It is not there, or another thread has just removed it.
            self._entries.move_to_end(key)
        return found

    def setdefault(self, key: K, value: V) -> V:
        """Return that entry; ``value`` becomes it where there is none."""
        kept = self._entries.setdefault(key, value)
        with suppress(KeyError):
            self._entries.move_to_end(key)
        while self.most is not None and len(self._entries) > self.most:
            self._entries.popitem(last=False)
        return kept

    def remove(self, key: K) -> None:
        """Remove that entry, if there is one."""
        self._entries.pop(key, None)

    def items(self) -> list[tuple[K, V]]:
        """Return all entries, those used last at the end."""
        return list(self._entries.items())

    def clear(self) -> None:
        """Remove all entries."""
        self._entries.clear()


class Sessions:
    """The sessions that a memory object has seen, each apart for each user."""

    def __init__(self, max_sessions: int | None, max_runs: int | None) -> None:
        self._max_runs = check_limit(max_runs)
        self._seen: RecentlyUsed[tuple[str | None, str], Session]
        self._seen = RecentlyUsed(check_limit(max_sessions))

    def get(self, user_id: str | None, session_id: str) -> Session:
        """Return that session, an empty one where it was not seen."""
        return self._seen.get((user_id, session_id)) or Session(self._max_runs)

    def seen(self, user_id: str | None, session_id: str) -> Session:
        """Return that session, which is noted as seen."""
        return self._seen.setdefault((user_id, session_id), Session(self._max_runs))

    def forget(self, user_id: str | None, session_id: str | None = None) -> None:
        """Forget a session of a user, or all of them."""
        if session_id is not None:
            self._seen.remove((user_id, session_id))
            return
        for key, _ in self._seen.items():
            if key[0] == user_id:
                self._seen.remove(key)

    def clear(self) -> None:
        """Forget all sessions of everybody."""
        self._seen.clear()

    def to_list(self) -> list[dict[str, Any]]:
        """Return all runs by session, as JSON types."""
        return [
            {"user_id": user, "session_id": id, "runs": [run.to_dict() for run in session.runs]}
            for (user, id), session in self._seen.items()
        ]
