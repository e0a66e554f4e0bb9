"""What an agent remembers about its users and their sessions, on any database of version 2.

    memory = Memory(db="sqlite:///memory.db")
    memory.add_user_memory(UserMemory("Ada likes tea"), user_id="ada")
    memory.search_user_memories("tea", user_id="ada")

The database is asked at every call and nothing is held in its place, so processes see each other's
writes. Only the messages of the sessions that this object has seen are held in this process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from buddy.memory.conversation.extraction import Extract
from buddy.memory.conversation.history import MAX_RUNS, MAX_SESSIONS, RunResponse, owner, owner_of
from buddy.memory.conversation.messages import one_of
from buddy.memory.conversation.models import Model, ModelAnswerError
from buddy.memory.conversation.seen import SeenSessions
from buddy.memory.filters import Where
from buddy.memory.receipt import Receipt
from buddy.memory.storage.expiry import Ttl
from buddy.memory.storage.sync_runner import run
from buddy.memory.v2.db.base import AsyncMemoryDb, MemoryDb
from buddy.memory.v2.schema import SessionSummary, UserMemory
from buddy.memory.v2.session_summaries import SessionSummaries

__all__ = ["Memory", "ModelAnswerError", "RunResponse", "SessionSummary", "UserMemory"]


class Memory(SessionSummaries, SeenSessions):
    """Memories of users and summaries of sessions, synchronous and asynchronous.

    ``db`` is a v2 ``MemoryDb`` or ``AsyncMemoryDb``, or a config string or mapping; without it
    everything is kept in this process and gone with it. ``model`` is a callable that takes a list
    of ``{"role", "content"}`` and returns text, sync or async, also in pieces.

    ``extract`` says who makes memories from messages: "model"; "verbatim", which keeps what the
    user said word for word; or a function, sync or async, from the messages to texts or
    ``UserMemory`` objects. Without it that is the model where there is one.
    ``memory_instructions`` tell a model what to remember, ``summary_instructions`` how to
    summarise, in the place of ``extraction.INSTRUCTIONS`` and ``summary.INSTRUCTIONS``.

    Histories are kept of the ``max_sessions`` sessions used last, ``max_runs`` runs of each (None:
    all). A summary cannot tell of runs that are gone before it is made.

    ``ttl`` is how long new memories and summaries live: seconds, a timedelta or ``NEVER``; None: as
    the database is set. A memory or summary that is changed keeps its end.

    ``user_id`` None is the user "default". A user's call never reads or changes what another user
    owns. Every method has an awaited twin with an ``a`` in front; with an ``AsyncMemoryDb`` there
    are only these, and the others raise TypeError. All may raise the errors of
    ``buddy.memory.errors``; an empty answer means that the database answered.
    """

    version = 2

    def __init__(
        self,
        db: MemoryDb | AsyncMemoryDb | str | Mapping[str, Any] | None = None,
        model: Model | None = None,
        *,
        extract: Extract | None = None,
        memory_instructions: str | None = None,
        summary_instructions: str | None = None,
        max_sessions: int | None = MAX_SESSIONS,
        max_runs: int | None = MAX_RUNS,
        ttl: Ttl = None,
    ) -> None:
        """Open or take ``db``; does no I/O. Raises TypeError for a database of version 1 or
        something else, ConfigError for a config that names none."""
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

    # --- memories of a user

    def add_user_memory(
        self, memory: UserMemory, user_id: str | None = None, *, ttl: Ttl = None
    ) -> str:
        """Store a memory and return its id, which is also set on ``memory`` when it had none.

        Without ``user_id`` it belongs to the user that ``memory`` names. A ``memory_id`` that this
        user has already is overwritten; another user's memory of that id is another one. Raises
        InvalidMemoryError for a memory that cannot be stored. ``ttl`` comes before this object's.
        """
        return run(self._sync.add(memory, owner_of(memory, user_id), ttl))

    async def aadd_user_memory(
        self, memory: UserMemory, user_id: str | None = None, *, ttl: Ttl = None
    ) -> str:
        """As ``add_user_memory``, awaited."""
        return await self._async.add(memory, owner_of(memory, user_id), ttl)

    def get_user_memory(self, memory_id: str, user_id: str | None = None) -> UserMemory | None:
        """Return that memory of the user, or None."""
        return run(self._sync.get(memory_id, owner(user_id)))

    async def aget_user_memory(
        self, memory_id: str, user_id: str | None = None
    ) -> UserMemory | None:
        """As ``get_user_memory``, awaited."""
        return await self._async.get(memory_id, owner(user_id))

    def get_user_memories(self, user_id: str | None = None) -> list[UserMemory]:
        """Return all memories of the user, newest first."""
        return run(self._sync.read(owner(user_id)))

    async def aget_user_memories(self, user_id: str | None = None) -> list[UserMemory]:
        """As ``get_user_memories``, awaited."""
        return await self._async.read(owner(user_id))

    def replace_user_memory(
        self, memory_id: str, memory: UserMemory, user_id: str | None = None
    ) -> str | None:
        """Put the content of ``memory`` in the place of that memory of the user; return its id.

        None, and nothing is stored, when the user has no such memory, also when it is deleted
        while this call is under way.
        """
        return run(self._sync.replace(memory_id, memory, owner_of(memory, user_id)))

    async def areplace_user_memory(
        self, memory_id: str, memory: UserMemory, user_id: str | None = None
    ) -> str | None:
        """As ``replace_user_memory``, awaited."""
        return await self._async.replace(memory_id, memory, owner_of(memory, user_id))

    def delete_user_memory(self, memory_id: str, user_id: str | None = None) -> bool:
        """Delete that memory of the user; tell whether there was one."""
        return run(self._sync.delete(memory_id, owner(user_id)))

    async def adelete_user_memory(self, memory_id: str, user_id: str | None = None) -> bool:
        """As ``delete_user_memory``, awaited."""
        return await self._async.delete(memory_id, owner(user_id))

    def search_user_memories(
        self,
        query: str | None = None,
        limit: int | None = None,
        retrieval_method: str | None = None,
        user_id: str | None = None,
        where: Where | None = None,
    ) -> list[UserMemory]:
        """Return up to ``limit`` memories of the user (None: all that fit).

        ``retrieval_method`` is "last_n" (the newest, newest first), "first_n" (the oldest, oldest
        first), or a search for ``query``, best first: "keyword", "semantic" or "hybrid" (see
        ``MemoryDb.search_memories``). None means "keyword" with a query, else "last_n". ``where``
        selects what a search may find. Raises ConfigError for a wrong method or limit.
        """
        return run(self._sync.search(query, limit, retrieval_method, owner(user_id), where))

    async def asearch_user_memories(
        self,
        query: str | None = None,
        limit: int | None = None,
        retrieval_method: str | None = None,
        user_id: str | None = None,
        where: Where | None = None,
    ) -> list[UserMemory]:
        """As ``search_user_memories``, awaited."""
        return await self._async.search(query, limit, retrieval_method, owner(user_id), where)

    def create_user_memories(
        self, message: Any = None, messages: Any = None, user_id: str | None = None
    ) -> list[UserMemory]:
        """Make memories of the user from a message or messages; return those added or changed.

        Give one of the two: a text (said by the user), a ``{"role", "content"}``, or a list of
        them (see ``as_messages``); ``extract`` says who makes memories of them. A model decides
        what to add, change and delete, among this user's newest memories only
        (``extraction.MAX_SHOWN``); an answer that is not as asked is asked for once more, then
        raises ModelAnswerError with nothing stored. What the user has in the same words already is
        not stored again, so a repeated call adds nothing. An error after memories were stored
        names them in ``stored``.
        """
        return run(self._sync.remember(one_of(message, messages), owner(user_id)))

    async def acreate_user_memories(
        self, message: Any = None, messages: Any = None, user_id: str | None = None
    ) -> list[UserMemory]:
        """As ``create_user_memories``, awaited."""
        return await self._async.remember(one_of(message, messages), owner(user_id))

    def _whose(self, user_id: str | None) -> str:
        return owner(user_id)

    # --- everything of one user, and everything

    def delete_user(self, user_id: str | None = None) -> dict[str, int]:
        """Delete all of one user; return ``{"memories": n, "summaries": m}``."""
        counts: dict[str, int] = run(self._sync.db.delete_user(owner(user_id)))
        self._sessions.forget(owner(user_id))
        return counts

    async def adelete_user(self, user_id: str | None = None) -> dict[str, int]:
        """As ``delete_user``, awaited."""
        counts: dict[str, int] = await self._async.db.delete_user(owner(user_id))
        self._sessions.forget(owner(user_id))
        return counts

    def forget_user(self, user_id: str | None = None) -> Receipt:
        """Delete all of one user, also what older software left, and check that it is gone.

        The receipt says how much that was. Where it could not be checked, or rows are still there,
        ``verified`` is False and ``reason`` says why.
        """
        receipt = run(self._sync.forget(owner(user_id)))
        self._sessions.forget(owner(user_id))
        return receipt

    async def aforget_user(self, user_id: str | None = None) -> Receipt:
        """As ``forget_user``, awaited."""
        receipt = await self._async.forget(owner(user_id))
        self._sessions.forget(owner(user_id))
        return receipt

    def clear(self) -> None:
        """Delete everything of EVERY user of this store. One user's: ``delete_user``."""
        run(self._sync.db.clear())
        self._sessions.clear()

    async def aclear(self) -> None:
        """As ``clear``, awaited."""
        await self._async.db.clear()
        self._sessions.clear()

    def to_dict(self) -> dict[str, Any]:
        """Return the version, the database's settings without secrets, and the runs noted here."""
        return {
            "version": self.version,
            "db": self.db.to_dict(),
            "sessions": self._sessions.to_list(),
        }
