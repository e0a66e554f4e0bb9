"""What memory objects do with a database, written once.

Every method is ``async`` over an awaitable view of the database. Synchronous methods drive it with
``run``, asynchronous ones await it. Arguments and errors are those of the methods of ``Memory``.
A ``user_id`` of None is nobody, and never everybody: each call to the database names the user.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar
from uuid import uuid4

from buddy.memory.conversation import extraction, summary
from buddy.memory.conversation.conflicts import Pause, repeated
from buddy.memory.conversation.extraction import Operation
from buddy.memory.conversation.messages import Message, spoken
from buddy.memory.conversation.models import Ask, Model, ask_json
from buddy.memory.conversation.retrieval import ALL, METHODS, check_method
from buddy.memory.conversation.rows import find_places, named
from buddy.memory.errors import ConfigError, InvalidMemoryError
from buddy.memory.filters import Where
from buddy.memory.receipt import Receipt
from buddy.memory.rows import SummaryRow
from buddy.memory.storage.validation import check_limit
from buddy.memory.v2.schema import SessionSummary, UserMemory

T = TypeVar("T")


class MemoryManager(NamedTuple):
    """One database, how its rows are made, and the model that makes memories, if any."""

    db: Any
    make_row: Callable[[UserMemory, str, str | None], Any]
    ask: Ask
    pause: Pause
    model: Model | None

    # --- memories of a user

    async def add(self, memory: UserMemory, user_id: str) -> str:
        """Store a memory of that user; return its id."""
        _check_memory(memory)
        if memory.memory_id is None:
            # Kept on the object, so that a repeated call leaves one row.
            memory.memory_id = _new_id()
        row = self.make_row(memory, memory.memory_id, user_id)
        stored = await self.db.upsert_memory(row)
        return str(stored.id)

    async def get(self, id: str, user_id: str | None) -> UserMemory | None:
        """Return that memory of the user, or None."""
        row = await self.db.read_memory(id, user_id=named(user_id))
        return None if row is None else UserMemory.from_row(row)

    async def read(
        self, user_id: str | None, limit: int | None = None, sort: str | None = None
    ) -> list[UserMemory]:
        """Return memories of exactly that user."""
        rows = await self.db.read_memories(user_id=named(user_id), limit=limit, sort=sort)
        return [UserMemory.from_row(row) for row in rows]

    async def replace(self, id: str, memory: UserMemory, user_id: str) -> str | None:
        """Replace the content of that memory of the user; return its id, or None."""
        _check_memory(memory)
        payload = memory.payload()
        row = await self._change(id, user_id, lambda _: payload)
        return None if row is None else str(row.id)

    async def delete(self, id: str, user_id: str | None) -> bool:
        """Delete that memory of the user; tell whether there was one."""
        return bool(await self.db.delete_memories([id], user_id=named(user_id)))

    async def search(
        self,
        query: str | None,
        limit: int | None,
        method: str | None,
        user_id: str,
        where: Where | None = None,
    ) -> list[UserMemory]:
        """Return memories of that user as one of ``retrieval.METHODS`` chooses them."""
        method = check_method(method or ("last_n" if query is None else "keyword"), METHODS)
        if method in ("last_n", "first_n"):
            return await self.read(user_id, limit, "asc" if method == "first_n" else "desc")
        if not isinstance(query, str):
            raise ConfigError(f"a {method} search needs a query, a text")
        limit = ALL if check_limit(limit) is None else limit
        found = await self.db.search_memories(
            query, user_id=named(user_id), where=where, limit=limit, method=method
        )
        return [UserMemory.from_row(result.row) for result in found]

    # --- memories from a conversation

    async def remember(self, messages: Sequence[Message], user_id: str | None) -> list[UserMemory]:
        """Make memories of that user from messages; return those that were added or changed."""
        said = spoken(messages)
        if not said:
            return []
        if self.model is None:
            texts = [m["content"] for m in said if m["role"] == "user"]
            return await self._keep([UserMemory(text) for text in texts], user_id)
        known = await self.read(user_id, extraction.MAX_SHOWN)
        known.reverse()  # Oldest first, as a story is told.
        asked = extraction.prompt([memory.memory for memory in known], said)
        changes = await ask_json(
            self.ask, self.model, asked, lambda answer: extraction.parse(answer, len(known))
        )
        added = [UserMemory(c.memory, c.topics) for c in changes if c.number is None]
        kept = await self._keep(added, user_id)
        for change in changes:
            if change.number is not None:
                kept += await self._apply(change, known[change.number - 1], user_id)
        return kept

    async def _keep(self, memories: Sequence[UserMemory], user_id: str | None) -> list[UserMemory]:
        """Store what is not stored yet, and return it all."""
        places = await find_places(self.db, [memory.memory for memory in memories], user_id)
        kept: dict[str, Any] = {}
        new: dict[str, Any] = {}
        for memory in memories:
            id, stored = places[memory.memory]
            kept[id] = stored or self.make_row(memory, id, user_id)
            if stored is None:
                new[id] = kept[id]
        if new:
            kept.update({row.id: row for row in await self.db.upsert_memories(new.values())})
        return [UserMemory.from_row(row) for row in kept.values()]

    async def _apply(
        self, change: Operation, memory: UserMemory, user_id: str | None
    ) -> list[UserMemory]:
        """Apply an update or a deletion; nothing when the memory was deleted meanwhile."""
        assert memory.memory_id is not None
        if change.op == "delete":
            await self.delete(memory.memory_id, user_id)
            return []
        new: dict[str, Any] = {"memory": change.memory}
        if change.topics is not None:
            new["topics"] = change.topics
        row = await self._change(memory.memory_id, user_id, lambda old: {**old, **new})
        return [] if row is None else [UserMemory.from_row(row)]

    async def _change(
        self, id: str, user_id: str | None, change: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> Any:
        """Change a stored row and return it, or None when that user has no such row.

        The version is compared, so a row that is deleted meanwhile does not come back and no
        other change is lost. (A plugin without versions cannot promise either.)
        """

        async def step() -> Any:
            row = await self.db.read_memory(id, user_id=named(user_id))
            if row is None:
                return None
            row.memory = change(row.memory)
            condition = {} if row.version is None else {"if_version": row.version}
            return await self.db.upsert_memory(row, **condition)

        return await repeated(step, self.pause)

    # --- summaries of sessions

    async def summary(self, session_id: str, user_id: str | None) -> SessionSummary | None:
        """Return the stored summary of that session of the user, or None."""
        row = await self._summary_row(session_id, user_id)
        return None if row is None else SessionSummary.from_row(row)

    async def summaries(
        self, user_id: str | None, limit: int | None, sort: str | None
    ) -> list[SessionSummary]:
        """Return the summaries of that user."""
        rows = await self.db.read_summaries(user_id=named(user_id), limit=limit, sort=sort)
        return [SessionSummary.from_row(row) for row in rows]

    async def summarise(
        self, session_id: str, user_id: str | None, messages: Sequence[Message], go_on: bool
    ) -> SessionSummary | None:
        """Store the summary of ``messages`` and return it.

        With ``go_on`` the stored summary counts as what was said before them, and a change of it
        meanwhile is taken in. Without messages nothing is written and the stored one comes back.
        """
        if not spoken(messages):
            return await self.summary(session_id, user_id)

        async def step() -> SummaryRow:
            stored = await self._summary_row(session_id, user_id) if go_on else None
            earlier = None if stored is None else SessionSummary.from_row(stored)
            made = await self._summary_of(messages, earlier)
            row = SummaryRow(made.payload(), session_id, user_id)
            version = 0 if stored is None else stored.version
            written: SummaryRow = await self.db.upsert_summary(
                row, if_version=version if go_on else None
            )
            return written

        return SessionSummary.from_row(await repeated(step, self.pause))

    async def _summary_of(
        self, messages: Sequence[Message], earlier: SessionSummary | None
    ) -> SessionSummary:
        if self.model is None:
            return summary.extract(messages, earlier)
        asked = summary.prompt(messages, earlier)
        return await ask_json(self.ask, self.model, asked, summary.parse)

    async def _summary_row(self, session_id: str, user_id: str | None) -> SummaryRow | None:
        row: SummaryRow | None = await self.db.read_summary(session_id, user_id=named(user_id))
        return row

    async def delete_summary(self, session_id: str, user_id: str | None) -> bool:
        """Delete the summary of that session of the user; tell whether there was one."""
        return bool(await self.db.delete_summary(session_id, user_id=named(user_id)))

    # --- everything of a user

    async def forget(self, user_id: str | None) -> Receipt:
        """Delete everything of that user, check that it is gone, and return the receipt."""
        receipt: Receipt = await self.db.forget_user(named(user_id))
        return receipt


def _check_memory(memory: object) -> None:
    if not isinstance(memory, UserMemory):
        raise InvalidMemoryError(f"a memory is a UserMemory, not {type(memory).__name__}")


def _new_id() -> str:
    return str(uuid4())
