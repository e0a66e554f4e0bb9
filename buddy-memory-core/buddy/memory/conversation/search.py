"""Keyword search: the memories that share most words with a query.

A memory matches when it or its topics hold a word of the query (see ``text.words``). Memories
with more distinct words of the query come first, newer ones first among equals. The same store
always gives the same answer; no index and no model is needed, and only the best are held.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from heapq import heappush, heappushpop

from buddy.memory.conversation.text import words
from buddy.memory.errors import ConfigError
from buddy.memory.v2.schema import UserMemory

METHODS = ("last_n", "first_n", "keyword")


async def best_matches(
    query: str, newest_first: AsyncIterator[UserMemory], limit: int | None
) -> list[UserMemory]:
    """Return the ``limit`` memories (None: all that match) that fit ``query`` best, best first."""
    wanted = set(words(query))
    heap: list[tuple[int, int, UserMemory]] = []
    age = 0
    async for memory in newest_first:
        age -= 1  # Distinct, so the heap never has to compare two memories.
        score = len(wanted.intersection(words(" ".join([memory.memory, *(memory.topics or [])]))))
        if score == 0:
            continue
        if limit is None or len(heap) < limit:
            heappush(heap, (score, age, memory))
        elif limit:
            heappushpop(heap, (score, age, memory))
    return [memory for _, _, memory in sorted(heap, key=lambda item: item[:2], reverse=True)]


def check_method(method: object, known: Sequence[str]) -> str:
    """Return a retrieval method out of ``known``; raises ConfigError that lists them."""
    name = getattr(method, "value", method)
    if name in known:
        return str(name)
    raise ConfigError(f"retrieval must be one of {', '.join(known)}, not {name!r:.80}")
