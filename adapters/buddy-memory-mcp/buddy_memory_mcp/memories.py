"""What the tools do, for one user at a time: plain functions over a database."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from typing_extensions import TypedDict

from buddy.memory import MemoryRow, SummaryRow
from buddy.memory.errors import ConfigError
from buddy.memory.v2.db.base import AsyncMemoryDb
from buddy.memory.v2.db.schema import StoredMemoryRow

logger = logging.getLogger(__name__)


class Remembered(TypedDict):
    """A memory as clients see it; ``version`` is what ``update`` wants back."""

    id: str
    text: str
    topics: list[str]
    updated_at: str
    version: int


class Found(Remembered):
    """A memory that a search found; a score from 0 to 1, comparable between searches."""

    score: float


class Listed(TypedDict):
    """A page of memories; ``next`` is the cursor of the next page, null behind the last."""

    memories: list[Remembered]
    next: str | None


async def remember(db: AsyncMemoryDb, user: str, text: str, topics: list[str]) -> Remembered:
    """Store a memory, and return it."""
    topics = [_in_unicode(topic) for topic in topics]
    row = MemoryRow({"memory": _said(text), "topics": topics}, user_id=user)
    return shown(await db.upsert_memory(row))


async def recall(db: AsyncMemoryDb, user: str, query: str, limit: int) -> list[Found]:
    """Return the memories that fit the query, best first; ``[]`` when none does."""
    if not query.strip():
        raise ConfigError('the query is empty; use "list" to see all memories')
    found = await db.search_memories(query, user_id=user, limit=limit)
    return [{**shown(one.row), "score": one.score or 0.0} for one in found]


async def list_page(db: AsyncMemoryDb, user: str, limit: int, cursor: str | None) -> Listed:
    """Return a page of memories, newest first."""
    page = await db.page_memories(user, limit=limit, after=cursor)
    return {"memories": [shown(row) for row in page.rows], "next": page.next}


async def read(db: AsyncMemoryDb, user: str, id: str) -> Remembered | None:
    """Return the memory, or None."""
    row = await db.read_memory(id, user_id=user)
    return None if row is None else shown(row)


async def update(
    db: AsyncMemoryDb, user: str, id: str, text: str, version: int
) -> Remembered | None:
    """Replace the text of the memory, and return it; None when there is none.

    Raises ConflictError when it has another version than the one that was read.
    """
    row = await db.read_memory(id, user_id=user)
    if row is None:
        return None
    if version < 1:
        raise ConfigError("version is that of the memory as it was read, 1 or more")
    changed = MemoryRow({**row.memory, "memory": _said(text)}, id, user)
    return shown(await db.upsert_memory(changed, if_version=version, ttl=_keep(db)))


async def forget(db: AsyncMemoryDb, user: str, id: str) -> bool:
    """Delete the memory; tell whether it was there."""
    return bool(await db.delete_memories([id], user_id=user))


async def forget_user(db: AsyncMemoryDb, user: str) -> dict[str, Any]:
    """Delete everything of the user, and return the receipt as a client may see it: of the store
    it names the kind, and why an erasure could not be ended is in the log."""
    receipt = await db.forget_user(user)
    reason = receipt.reason
    if reason and not receipt.remaining:  # An error's text, which may name servers and files.
        logger.warning("an erasure could not be ended: %s", reason)
        reason = "the store failed meanwhile"
    kind = type(getattr(db, "sync_db", db)).__name__
    return replace(receipt, store=kind, reason=reason).to_dict()


async def save_summary(db: AsyncMemoryDb, user: str, session: str, text: str) -> None:
    """Store the summary of a session, in place of the one before."""
    await db.upsert_summary(SummaryRow({"summary": _said(text)}, session, user))


async def read_summary(db: AsyncMemoryDb, user: str, session: str) -> str | None:
    """Return the summary of a session, or None."""
    row = await db.read_summary(session, user_id=user)
    return None if row is None else whole(str(row.summary.get("summary", "")))


def shown(row: StoredMemoryRow) -> Remembered:
    """Return a row as clients see it, also one that another program wrote in a form of its own."""
    topics = row.memory.get("topics")
    return {
        "id": row.id,
        "text": whole(str(row.memory.get("memory", row.memory))),
        "topics": [whole(str(topic)) for topic in topics] if isinstance(topics, list) else [],
        "updated_at": row.last_updated.isoformat(),
        "version": row.version,
    }


def whole(text: str) -> str:
    """Return a text with U+FFFD for each half of a character: no message could carry those."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _said(text: str) -> str:
    if not text.strip():
        raise ConfigError("the text is empty")
    return _in_unicode(text)


def _in_unicode(text: str) -> str:
    if whole(text) != text:
        raise ConfigError("the text holds half of a character, a lone surrogate")
    return text


def _keep(db: AsyncMemoryDb) -> Any:
    from buddy.memory import KEEP

    return KEEP if db.keeps_ends else None
