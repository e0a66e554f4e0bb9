"""What a batch does: reads first, then writes, over a database whose methods are awaited.

A namespace is a scope (``langgraph/<label>/<label>/``), an item a row in it:
``{"value": …, "ttl": minutes or null, "vectors": {path: text}}``.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from functools import lru_cache, partial
from typing import Any

from langgraph.store.base import (
    GetOp,
    Item,
    ListNamespacesOp,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
)

from buddy.memory import NEVER, MemoryRow
from buddy.memory.adapting import join_scope, split_scope
from buddy.memory.errors import MemoryDbError
from buddy.memory.storage.eight_methods import Awaiting
from buddy.memory.storage.self_description import no_expiry
from buddy.memory.storage.threads import in_thread
from buddy_memory_langgraph.matching import common_prefix, fits, matches
from buddy_memory_langgraph.vectors import Embedding, Vectors, best_cosine, pack

logger = logging.getLogger("buddy.memory")

Namespace = tuple[str, ...]

FIRST_PAGE, LAST_PAGE, RANKED_PAGE = 50, 1000, 250
"""How many rows of many are read at once: few where most fit a filter, more with every page, and
fewer with vectors, which are long."""


class Operations:
    """The operations of one store; ``root`` is the first segment of all its scopes."""

    def __init__(self, root: str, *, indexed: bool) -> None:
        self._root = root
        self._indexed = indexed

    async def answer(
        self, db: Any, ops: Sequence[Op], vectors: Vectors, embedding: Embedding
    ) -> list[Result]:
        """Return a result for each operation; ``ops`` were checked."""
        results: list[Result] = [None] * len(ops)
        await self._get(db, [(i, op) for i, op in enumerate(ops) if isinstance(op, GetOp)], results)
        for number, op in enumerate(ops):
            if isinstance(op, SearchOp):
                results[number] = await self._search(db, op, vectors)
            elif isinstance(op, ListNamespacesOp):
                results[number] = await self._list_namespaces(db, op)
        puts = {(op.namespace, op.key): op for op in ops if isinstance(op, PutOp)}
        await self._put(db, list(puts.values()), vectors, embedding)
        return results

    def _scope(self, namespace: Iterable[str]) -> str:
        return join_scope(self._root, *namespace)

    # --- reading

    async def _get(self, db: Any, ops: list[tuple[int, GetOp]], results: list[Result]) -> None:
        """Read the items of each namespace in one trip."""
        asked: dict[Namespace, list[tuple[int, GetOp]]] = defaultdict(list)
        for number, op in ops:
            asked[op.namespace].append((number, op))
        for namespace, some in asked.items():
            keys = [op.key for _, op in some]
            rows = await _rows(db, keys, self._scope(namespace))
            for (number, _), row in zip(some, rows, strict=True):
                results[number] = _item(row) if row is not None and _is_ours(row) else None
            again = [n for n, op in some if op.refresh_ttl and results[n] is not None]
            wanted = {number: row for (number, _), row in zip(some, rows, strict=True)}
            await self._refresh(db, [wanted[number] for number in again])

    async def _search(self, db: Any, op: SearchOp, vectors: Vectors) -> list[SearchItem]:
        last = op.offset + op.limit
        ranked = op.query is not None and op.query in vectors.queries
        found = [row async for row in self._below(db, op, None if ranked else last)]
        scores: dict[int, float | None] = {}
        if ranked:
            score = partial(_scores, found, vectors.queries[op.query or ""])
            # Long work: an event loop does not stand still for it.
            scores = score() if isinstance(db, Awaiting) else await in_thread(score)
            found.sort(key=lambda row: _rank(scores[id(row)]))
        chosen = found[op.offset : last]
        await self._refresh(db, chosen if op.refresh_ttl else [])
        return [_found(row, scores.get(id(row))) for row in chosen]

    async def _below(self, db: Any, op: SearchOp, most: int | None) -> AsyncIterator[Any]:
        """Yield up to ``most`` rows below the namespace that fit the filter, newest first.

        All rows come in pages, between which an event loop does other things.
        """
        scope, wanted = self._scope(op.namespace_prefix), op.filter
        if not wanted and most is not None:
            rows = await db.read_memories(limit=most, sort="desc", user_prefix=scope)
            if all(map(_is_item, rows)):
                for row in rows:
                    yield row
                return
        after, count, size = None, 0, FIRST_PAGE
        largest = RANKED_PAGE if most is None else LAST_PAGE
        while most is None or count < most:
            page = await db.page_memories(user_prefix=scope, limit=size, after=after, sort="desc")
            for row in page.rows:
                if count == most or not _is_ours(row):
                    continue
                if not wanted or fits(row.memory["value"], wanted):
                    yield row
                    count += 1
            after, size = page.next, min(2 * size, largest)
            if after is None:
                return

    async def _refresh(self, db: Any, rows: Sequence[MemoryRow]) -> None:
        """Let rows with a lifetime live it anew, without a write that could undo another's."""
        again: dict[tuple[str | None, float], list[str | None]] = defaultdict(list)
        for row in rows:
            if row.memory["ttl"] is not None:
                again[row.user_id, row.memory["ttl"]].append(row.id)
        for (scope, minutes), ids in again.items():
            await db.touch_memories(ids, user_id=scope, ttl=minutes * 60)

    async def _list_namespaces(self, db: Any, op: ListNamespacesOp) -> list[Namespace]:
        users = await db.list_users(prefix=self._scope(common_prefix(op)))
        found = [split_scope(user)[1:] for user in users]
        conditions = op.match_conditions or ()
        chosen = {
            namespace[: op.max_depth]
            for namespace in found
            if all(matches(condition, namespace) for condition in conditions)
        }
        return sorted(chosen)[op.offset : op.offset + op.limit]

    # --- writing

    async def _put(self, db: Any, ops: list[PutOp], vectors: Vectors, embedding: Embedding) -> None:
        """Write in one trip for each lifetime, delete in one for each namespace.

        An error tells in ``stored`` what the trips before it wrote.
        """
        rows: dict[float | None, list[MemoryRow]] = defaultdict(list)
        gone: dict[Namespace, list[str]] = defaultdict(list)
        for op in ops:
            if op.value is None:
                gone[op.namespace].append(op.key)
                continue
            texts = embedding.texts(op.value, op.index) if self._indexed else {}
            payload = {
                "value": op.value,
                "ttl": op.ttl,
                "vectors": {path: pack(vectors.documents[text]) for path, text in texts.items()},
            }
            rows[op.ttl].append(MemoryRow(payload, op.key, self._scope(op.namespace)))
        writes = [(some, _ttl(db, minutes)) for minutes, some in rows.items()]
        stored: list[Any] = []
        try:
            for some, ttl in writes:
                await db.upsert_memories(some, ttl=ttl)
                stored += [(row.user_id, row.id) for row in some]
            for namespace, keys in gone.items():
                await db.delete_memories(keys, user_id=self._scope(namespace))
        except MemoryDbError as error:
            error.stored = (*stored, *error.stored)
            raise


async def _rows(db: Any, keys: list[str], scope: str) -> list[Any]:
    if len(keys) == 1:  # the usual get, by a shorter road
        return [await db.read_memory(keys[0], user_id=scope)]
    rows: list[Any] = await db.read_memories_by_id(keys, user_id=scope)
    return rows


def _is_item(row: Any) -> bool:
    parts = (row.memory.get("value"), row.memory.get("vectors"), "ttl" in row.memory)
    return isinstance(parts[0], dict) and isinstance(parts[1], dict) and parts[2]


def _is_ours(row: Any) -> bool:
    """Tell whether a row is an item, with a warning for one that another program wrote."""
    if not _is_item(row):
        logger.warning("skipped the row %r of the user %r: no item", row.id, row.user_id)
        return False
    return True


def _ttl(db: Any, minutes: float | None) -> Any:
    """Return a lifetime as the database takes it; one that keeps no ends is not asked for any.

    Raises UnsupportedError for a lifetime in such a one.
    """
    database = db.db if isinstance(db, Awaiting) else db
    if minutes is None:
        return NEVER if database.keeps_ends else None
    if not database.keeps_ends:
        raise no_expiry(database)
    return minutes * 60


def _scores(rows: Sequence[Any], query: Sequence[float]) -> dict[int, float | None]:
    """Return the score of each row, by its ``id()``."""
    return {id(row): best_cosine(query, row.memory["vectors"].values()) for row in rows}


@lru_cache(maxsize=4096)
def _namespace(scope: str) -> Namespace:
    return split_scope(scope)[1:]


def _fields(row: Any) -> dict[str, Any]:
    return {
        "namespace": _namespace(row.user_id),
        "key": row.id,
        "value": row.memory["value"],
        "created_at": row.created_at,
        "updated_at": row.last_updated,
    }


def _item(row: Any) -> Item:
    return Item(**_fields(row))


def _found(row: Any, score: float | None) -> SearchItem:
    return SearchItem(**_fields(row), score=score)


def _rank(score: float | None) -> tuple[bool, float]:
    """Return what sorts by score, best first, and rows without a vector behind all others."""
    return score is None, -(score or 0.0)
