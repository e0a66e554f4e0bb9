"""The memory of one agent about one user, on a database of version 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from buddy.memory.conversation.base import MemoryBase
from buddy.memory.conversation.extraction import Extract
from buddy.memory.conversation.history import MAX_RUNS, MAX_SESSIONS, RunResponse, Session, run_of
from buddy.memory.conversation.messages import Message, as_messages
from buddy.memory.conversation.models import Model, ModelAnswerError
from buddy.memory.conversation.retrieval import check_method
from buddy.memory.db.base import MemoryDb
from buddy.memory.receipt import Receipt
from buddy.memory.storage.expiry import Ttl
from buddy.memory.storage.sync_runner import run
from buddy.memory.storage.validation import check_limit
from buddy.memory.v2.schema import SessionSummary, UserMemory

__all__ = ["AgentMemory", "ModelAnswerError", "RunResponse", "SessionSummary", "UserMemory"]

RETRIEVAL = ("last_n", "first_n")


class AgentMemory(MemoryBase):
    """What an agent remembers about ``user_id``, and the session it is in.

    ``db`` is a v1 ``MemoryDb``, or a config string or mapping that is opened as version 1; without
    it everything is kept in this process and gone with it. ``user_id`` None is nobody: it has the
    rows without a user, and sees no others. ``num_memories`` (None: all) and ``retrieval``
    ("last_n", newest first, or "first_n", oldest first) say what ``load_user_memories`` loads.
    ``session_id`` names the summary in the database; a fresh one is made without it. ``model`` and
    what follows it are as in ``Memory``. In an ``Agent`` it serves the users and sessions that
    ``run`` names, and its own where none is named.

    ``memories`` and ``summary`` show what these methods last loaded or made, None before; runs of
    an agent leave them alone. They are never written back: the database is what counts, and other
    processes write to it too. Methods that use the database have awaited twins with an ``a`` in
    front, which run it in threads.
    """

    version = 1

    def __init__(
        self,
        db: MemoryDb | str | Mapping[str, Any] | None = None,
        user_id: str | None = None,
        num_memories: int | None = None,
        retrieval: str = "last_n",
        session_id: str | None = None,
        model: Model | None = None,
        *,
        extract: Extract | None = None,
        memory_instructions: str | None = None,
        summary_instructions: str | None = None,
        max_sessions: int | None = MAX_SESSIONS,
        max_runs: int | None = MAX_RUNS,
        ttl: Ttl = None,
    ) -> None:
        """Open or take ``db``; does no I/O. Raises TypeError for a database of version 2 or
        something else, ConfigError for a config, a number or a retrieval that does not exist."""
        super().__init__(
            db,
            model,
            extract,
            memory_instructions,
            summary_instructions,
            max_sessions,
            max_runs,
            ttl,
        )
        self.user_id = user_id
        self.num_memories = check_limit(num_memories)
        self.retrieval = check_method(retrieval, RETRIEVAL, "retrieval")
        self.session_id = session_id or str(uuid4())
        self.memories: list[UserMemory] | None = None
        self.summary: SessionSummary | None = None

    # --- memories

    def load_user_memories(self) -> list[UserMemory]:
        """Read the user's memories into ``memories`` and return them.

        Raises what the database raises; ``memories`` stays as it was then.
        """
        self.memories = run(self._sync.read(self.user_id, self.num_memories, self._sort()))
        return self.memories

    async def aload_user_memories(self) -> list[UserMemory]:
        """As ``load_user_memories``, awaited."""
        manager = self._async
        self.memories = await manager.read(self.user_id, self.num_memories, self._sort())
        return self.memories

    def update_memory(self, input: str) -> list[UserMemory]:
        """Make memories from what the user said, and load; return those added or changed.

        As ``Memory.create_user_memories``: a model decides, without one the text is kept word for
        word. Raises TypeError for anything but a text or messages.
        """
        changed = run(self._sync.remember(as_messages(input), self.user_id))
        self.load_user_memories()
        return changed

    async def aupdate_memory(self, input: str) -> list[UserMemory]:
        """As ``update_memory``, awaited."""
        changed = await self._async.remember(as_messages(input), self.user_id)
        await self.aload_user_memories()
        return changed

    def _sort(self) -> str:
        # Checked again: the attribute may have been set since.
        return (
            "asc" if check_method(self.retrieval, RETRIEVAL, "retrieval") == "first_n" else "desc"
        )

    # --- the summary of the session

    def load_summary(self) -> SessionSummary | None:
        """Read the stored summary of the session into ``summary`` and return it, or None."""
        self.summary = run(self._sync.summary(self.session_id, self.user_id))
        return self.summary

    async def aload_summary(self) -> SessionSummary | None:
        """As ``load_summary``, awaited."""
        self.summary = await self._async.summary(self.session_id, self.user_id)
        return self.summary

    def update_summary(self) -> SessionSummary | None:
        """Summarise the session, store the summary in the database and return it.

        It goes on from the stored summary with the messages noted since. None when there is
        neither.
        """
        self.summary = run(self._sync.go_on(self._session, self.session_id, self.user_id))
        return self.summary

    async def aupdate_summary(self) -> SessionSummary | None:
        """As ``update_summary``, awaited."""
        self.summary = await self._async.go_on(self._session, self.session_id, self.user_id)
        return self.summary

    # --- everything of the user

    def forget_user(self) -> Receipt:
        """Delete all of the user from the database, also what older software left, and check that
        it is gone; forget what was loaded and said, too.

        The receipt says how much that was. Where it could not be checked, or rows are still there,
        ``verified`` is False and ``reason`` says why.
        """
        receipt = run(self._sync.forget(self.user_id))
        self.clear()
        return receipt

    async def aforget_user(self) -> Receipt:
        """As ``forget_user``, awaited."""
        receipt = await self._async.forget(self.user_id)
        self.clear()
        return receipt

    # --- what was said, in this process

    @property
    def _session(self) -> Session:
        return self._sessions.seen(self.user_id, self.session_id)

    def _whose(self, user_id: str | None) -> str | None:
        return self.user_id if user_id is None else user_id

    def _session_of(self, user_id: str | None) -> str | None:
        return self.session_id if user_id == self.user_id else None

    @property
    def runs(self) -> list[RunResponse]:
        """The runs noted so far, oldest first."""
        return list(self._session.runs)

    @property
    def messages(self) -> list[Message]:
        """The messages noted so far, oldest first."""
        return self._session.messages()

    def add_run(self, run: RunResponse) -> None:
        """Note a run with its messages; one with the same ``run_id`` takes its old place."""
        self._session.add(run)

    def add_message(self, message: Any) -> None:
        """Note one message, as a run of its own."""
        self._session.add(run_of([message]))

    def add_messages(self, messages: Any) -> None:
        """Note messages, as one run."""
        self._session.add(run_of(messages))

    def get_messages_from_last_n_runs(
        self, last_n: int | None = None, skip_role: str | None = None
    ) -> list[Message]:
        """Return the messages of the last ``last_n`` runs (None: all), oldest first."""
        return self._session.messages(last_n, skip_role)

    def clear(self) -> None:
        """Forget the messages, and what was loaded. The database keeps everything."""
        self._sessions.clear()
        self.memories = self.summary = None

    def to_dict(self) -> dict[str, Any]:
        """Return the settings without secrets, what was loaded and what was said, as JSON types."""
        shown: dict[str, Any] = {
            "version": self.version,
            "db": self.db.to_dict(),
            "user_id": self.user_id,
            "session_id": self.session_id,
            "num_memories": self.num_memories,
            "retrieval": self.retrieval,
            "summary": self.summary and self.summary.to_dict(),
            "memories": [m.to_dict() for m in self.memories] if self.memories is not None else None,
            "runs": [run.to_dict() for run in self._session.runs],
        }
        return {key: value for key, value in shown.items() if value is not None}
