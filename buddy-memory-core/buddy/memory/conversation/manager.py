"""What memory objects do with a database, written once for sync and async and both versions.

Memories from conversations, and summaries of sessions; see ``UserMemories`` for how it is driven.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from buddy.memory.conversation import extraction, summary
from buddy.memory.conversation.conflicts import repeated
from buddy.memory.conversation.extraction import Extract, Operation
from buddy.memory.conversation.history import Session
from buddy.memory.conversation.messages import Message, spoken
from buddy.memory.conversation.models import Model, ask_json
from buddy.memory.conversation.partly_done import after_storing
from buddy.memory.conversation.rows import find_places, named
from buddy.memory.conversation.user_memories import UserMemories
from buddy.memory.errors import ConfigError
from buddy.memory.receipt import Receipt
from buddy.memory.rows import SummaryRow
from buddy.memory.v2.schema import SessionSummary, UserMemory


@dataclass(frozen=True)
class Makers:
    """Who makes memories and summaries, and what they are told; see ``Memory``."""

    model: Model | None
    extract: Extract | None
    memory_instructions: str | None
    summary_instructions: str | None


@dataclass(frozen=True)
class MemoryManager(UserMemories):
    """One database, and who makes what is stored in it."""

    makers: Makers

    # --- memories from a conversation

    async def remember(
        self,
        messages: Sequence[Message],
        user_id: str | None,
        extract: Extract | None = None,
        model: Model | None = None,
    ) -> list[UserMemory]:
        """Make memories of that user from messages; return those that were added or changed.

        ``extract`` comes before the memory's own, ``model`` after it.
        """
        said = spoken(messages)
        if not said:
            return []
        model = self.makers.model or model
        how = extract or self.makers.extract or ("verbatim" if model is None else "model")
        if how == "model":
            return await self._remember_by_model(model, said, user_id)
        if how == "verbatim":
            made = [UserMemory(m["content"]) for m in said if m["role"] == "user"]
        else:
            made = extraction.made_by_callable(await self.waits.call(how, said))
        return await self._keep(made, user_id)

    async def _remember_by_model(
        self, model: Model | None, said: list[Message], user_id: str | None
    ) -> list[UserMemory]:
        if model is None:
            raise ConfigError("extract='model' needs a model: Memory(model=callable, …)")
        known = await self.read(user_id, extraction.MAX_SHOWN)
        known.reverse()  # Oldest first, as a story is told.
        asked = extraction.prompt(
            [memory.memory for memory in known], said, self.makers.memory_instructions
        )
        changes = await ask_json(
            self.waits.call, model, asked, lambda answer: extraction.parse(answer, len(known))
        )
        source = extraction.input_of(said)
        added = [UserMemory(c.memory, c.topics, source) for c in changes if c.number is None]
        kept = await self._keep(added, user_id)
        for change in changes:
            if change.number is not None:
                with after_storing(kept):
                    memory = known[change.number - 1]
                    kept += await self._apply(change, memory, source, user_id)
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
            stored_rows = await self.db.upsert_memories(new.values(), **self.ends.new)
            kept.update({row.id: row for row in stored_rows})
        return [UserMemory.from_row(row) for row in kept.values()]

    async def _apply(
        self, change: Operation, memory: UserMemory, source: str, user_id: str | None
    ) -> list[UserMemory]:
        """Apply an update or a deletion; nothing when the memory was deleted meanwhile."""
        assert memory.memory_id is not None
        if change.op == "delete":
            await self.delete(memory.memory_id, user_id)
            return []
        new: dict[str, Any] = {"memory": change.memory, "input": source}
        if change.topics is not None:
            new["topics"] = change.topics
        row = await self._change(memory.memory_id, user_id, lambda old: {**old, **new})
        return [] if row is None else [UserMemory.from_row(row)]

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
            ends = self.ends.new if stored is None else self.ends.kept
            written: SummaryRow = await self.db.upsert_summary(
                row, if_version=version if go_on else None, **ends
            )
            return written

        return SessionSummary.from_row(await repeated(step, self.waits.pause))

    async def go_on(
        self, session: Session, session_id: str, user_id: str | None
    ) -> SessionSummary | None:
        """Take what was said in ``session`` since its last summary into the stored one."""
        async with self.waits.turn(session.turns):
            with session.to_summarise() as said:
                return await self.summarise(session_id, user_id, said, True)

    async def _summary_of(
        self, messages: Sequence[Message], earlier: SessionSummary | None
    ) -> SessionSummary:
        if self.makers.model is None:
            return summary.extract(messages, earlier)
        asked = summary.prompt(messages, earlier, self.makers.summary_instructions)
        return await ask_json(self.waits.call, self.makers.model, asked, summary.parse)

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
