"""The agent: one run reads the memory, asks the model, and stores what is new."""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, Literal
from uuid import uuid4

from typing_extensions import Self

from buddy.agent.remembered import choose_memories, system_message
from buddy.memory.agent import AgentMemory
from buddy.memory.conversation.base import AgentView
from buddy.memory.conversation.extraction import Extract, check_extract
from buddy.memory.conversation.history import MAX_SESSIONS, RecentlyUsed, RunResponse
from buddy.memory.conversation.messages import Message
from buddy.memory.conversation.models import Model, ask, check_model
from buddy.memory.conversation.partly_done import after_storing
from buddy.memory.conversation.type_guards import is_mapping
from buddy.memory.errors import ConfigError
from buddy.memory.storage.sync_runner import run
from buddy.memory.v2.memory import Memory
from buddy.memory.v2.schema import UserMemory

_logger = logging.getLogger("buddy.memory")

_ON_MEMORY_ERROR = ("raise", "answer")


class Agent:
    """Answers with ``model`` what users say, with what ``memory`` knows of them before it.

    ``model`` is as in ``Memory``, and needed by ``run`` only. ``memory`` is a ``Memory``, an
    ``AgentMemory`` or a config string for a ``Memory``; without it, one that is gone with the
    process.

    With ``enable_user_memories`` up to ``num_memories`` of the user stand before the model: half of
    them what a search for the message finds, the newest for the rest; and memories are made of what
    is said. ``extract`` says by whom, before the ``extract`` of the memory. Where neither says it,
    a model does: the memory's own, else the agent's. **That is one more call of a model for each
    run**; "verbatim" needs none and keeps what the user says word for word. With
    ``enable_session_summaries`` the session's summary stands there, too, and is brought up to date
    after each run: by the memory's own model, or without one by the rule in
    ``buddy.memory.conversation.summary``.

    The messages of the session's last ``num_history_runs`` runs that the memory object keeps (None:
    all) always stand before the model. ``user_id`` and ``session_id`` are used where ``run`` names
    none: the user "default" (an ``AgentMemory``: its own), and for each user a session of its own.
    ``instructions`` go into the system message. With ``on_memory_error="answer"`` a memory that
    fails costs no answer, see ``RunResponse``.
    """

    def __init__(
        self,
        model: Model | None = None,
        memory: Memory | AgentMemory | str | Mapping[str, Any] | None = None,
        enable_user_memories: bool = False,
        enable_session_summaries: bool = False,
        user_id: str | None = None,
        session_id: str | None = None,
        instructions: str | None = None,
        num_memories: int | None = 50,
        num_history_runs: int | None = None,
        *,
        extract: Extract | None = None,
        on_memory_error: Literal["raise", "answer"] = "raise",
    ) -> None:
        """Does no I/O. Raises TypeError for a model that cannot be called, or a memory that is
        neither a memory object nor a config; ConfigError for a config that names no database."""
        if on_memory_error not in _ON_MEMORY_ERROR:
            raise ConfigError(f"on_memory_error must be one of {', '.join(_ON_MEMORY_ERROR)}")
        self.model = check_model(model)
        self.extract: Extract | None = check_extract(extract)
        self.memory = _memory(memory)
        self._opened = self.memory is not memory
        self.enable_user_memories = enable_user_memories
        self.enable_session_summaries = enable_session_summaries
        self.user_id = user_id
        self.session_id = session_id
        self.instructions = instructions
        self.num_memories = num_memories
        self.num_history_runs = num_history_runs
        self.on_memory_error = on_memory_error
        self._session_ids = RecentlyUsed[str | None, str](MAX_SESSIONS)
        if isinstance(memory, (str, Mapping)) and not self._uses_database:
            _logger.warning(
                "this agent is given a database and neither reads nor writes it: "
                "pass enable_user_memories=True or enable_session_summaries=True"
            )

    @property
    def _uses_database(self) -> bool:
        return self.enable_user_memories or self.enable_session_summaries

    def run(
        self, message: str, user_id: str | None = None, session_id: str | None = None
    ) -> RunResponse:
        """Answer ``message``, remember what is new, and return the answer with its messages.

        Raises ConfigError without a model, whatever the model raises (nothing is remembered then),
        and, unless ``on_memory_error="answer"``, the errors of ``buddy.memory.errors`` when the
        memory cannot be read or written. Such a run is not part of the session's history; what of
        it had been stored is named by ``stored`` of the error.
        """
        return run(self._run(self.memory.for_agent(is_async=False), message, user_id, session_id))

    async def arun(
        self, message: str, user_id: str | None = None, session_id: str | None = None
    ) -> RunResponse:
        """As ``run``, awaited."""
        return await self._run(self.memory.for_agent(is_async=True), message, user_id, session_id)

    async def _run(
        self, memory: AgentView, message: str, user_id: str | None, session_id: str | None
    ) -> RunResponse:
        if self.model is None:
            raise ConfigError("this agent has no model to run: Agent(model=callable, …)")
        if not isinstance(message, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"a message is a text, not {type(message).__name__}")
        user = memory.whose(self.user_id if user_id is None else user_id)
        response = RunResponse(session_id=session_id or self._session_of(memory, user))
        response.user_id = user
        said: Message = {"role": "user", "content": message}
        system = await self._system(memory, response, message)
        history = memory.sessions.get(user, response.session_id or "")
        before = [*system, *history.messages(self.num_history_runs)]
        response.content = await ask(memory.manager.waits.call, self.model, [*before, said])
        response.messages = [said, {"role": "assistant", "content": response.content}]
        await self._store(memory, response)
        return response

    def _session_of(self, memory: AgentView, user: str | None) -> str:
        # Not one session for all: users must never see each other's messages.
        known = self.session_id or memory.session_of(user)
        return known or self._session_ids.setdefault(user, str(uuid4()))

    async def _system(
        self, memory: AgentView, response: RunResponse, message: str
    ) -> list[Message]:
        """Return the system message, if there is anything to say."""
        data: dict[str, Any] = {}
        user, manager = response.user_id, memory.manager
        if self.enable_user_memories:
            with self._or_answer(response.not_read, "user_memories"):
                chosen = await choose_memories(manager, message, user, self.num_memories)
                data["user_memories"] = chosen
        if self.enable_session_summaries:
            with self._or_answer(response.not_read, "session_summary"):
                summary = await manager.summary(response.session_id or "", user)
                data["session_summary"] = summary and summary.summary
        return system_message(self.instructions, {k: v for k, v in data.items() if v})

    async def _store(self, memory: AgentView, response: RunResponse) -> None:
        user, session_id = response.user_id, response.session_id or ""
        made: list[UserMemory] = []
        if self.enable_user_memories:
            with self._or_answer(response.not_stored, "user_memories"):
                made = await memory.manager.remember(
                    response.messages, user, self.extract, self.model
                )
        session = memory.sessions.seen(user, session_id)
        session.add(response)
        if self.enable_session_summaries:
            try:
                with self._or_answer(response.not_stored, "session_summary"), after_storing(made):
                    await memory.manager.go_on(session, session_id, user)
            except BaseException:  # The caller gets no answer, so there was no such run.
                session.remove(response.run_id)
                raise

    @contextmanager
    def _or_answer(self, errors: dict[str, Exception], what: str) -> Generator[None]:
        """Note an error of the memory in ``errors`` where an answer is wanted all the same."""
        try:
            yield
        except Exception as error:
            if self.on_memory_error == "raise":
                raise
            errors[what] = error
            _logger.warning("an agent answers without its memory (%s): %s", what, error)

    def close(self) -> None:
        """Close the memory if it was opened here, by a config string. Safe to repeat."""
        if self._opened:
            self.memory.close()

    async def aclose(self) -> None:
        """As ``close``, awaited."""
        if self._opened:
            await self.memory.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return a copy that shares the model and the database; its sessions are its own."""
        twin = object.__new__(type(self))
        memo[id(self)] = twin
        for name, value in vars(self).items():
            shared = name in ("model", "extract")
            twin.__dict__[name] = value if shared else deepcopy(value, memo)
        return twin


def _memory(given: Any) -> Memory | AgentMemory:
    if isinstance(given, (Memory, AgentMemory)):
        return given
    if given is None or isinstance(given, str) or is_mapping(given):
        return Memory(given)
    raise TypeError(
        "an agent's memory is a Memory, an AgentMemory or a config string (around a database: "
        f"Memory(db=…)), not {type(given).__module__}.{type(given).__qualname__}"
    )
