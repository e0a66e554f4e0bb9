"""R3: pages by cursor."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from itertools import count
from pathlib import Path
from typing import Any, cast

from buddy.memory.errors import ConfigError
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.memory_methods import Page
from buddy.memory.storage.record import Corrupt, Kind, Record, Scope, Write
from buddy.memory.testing import BackendUnderTest
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
from tests.conformance_kit.broken_backends.declare import BROKEN, on_db, on_store


@on_db("R3-cursors-lead-through-a-listing-memory")
class SkipsARowBetweenPages(StoreBackedMemoryDb):
    def page_memories(self, user_id: Any = None, *, limit: Any = 100, **options: Any) -> Any:
        page = super().page_memories(user_id, limit=limit, **options)
        return Page(page.rows[:-1] if page.next else page.rows, page.next)


@on_db("R3-cursors-lead-through-a-listing-summary")
class HasANextAtTheEnd(StoreBackedMemoryDb):
    def page_summaries(self, user_id: Any = None, *, limit: Any = 100, **options: Any) -> Any:
        page = super().page_summaries(user_id, limit=limit, **options)
        return Page(page.rows, page.next or options.get("after"))


@on_db("R3-a-cursor-belongs-to-its-listing-memory")
@on_db("R3-a-cursor-belongs-to-its-kind")
@on_db("R3-cursors-do-not-move-while-rows-are-deleted-memory")
@on_db("R3-a-cursor-does-not-outlive-its-store-memory")
class TakesOffsetsForCursors(StoreBackedMemoryDb):
    """A cursor is the number of the rows before, and says nothing of what they were."""

    def _slice(self, read: Any, user_id: Any, limit: Any, after: Any, options: Any) -> Any:
        rows = read(user_id, sort=options.pop("sort", None), **options)
        try:
            start = int(after or 0)
        except ValueError:
            raise ConfigError("no cursor") from None
        end = start + limit
        return Page(rows[start:end], str(end) if end < len(rows) else None)

    def page_memories(
        self, user_id: Any = None, *, limit: Any = 100, after: Any = None, **options: Any
    ) -> Any:
        return self._slice(self.read_memories, user_id, limit, after, options)

    def page_summaries(
        self, user_id: Any = None, *, limit: Any = 100, after: Any = None, **options: Any
    ) -> Any:
        return self._slice(self.read_summaries, user_id, limit, after, options)


@on_db("R3-a-cursor-tells-no-name-memory")
class TellsTheLastRow(StoreBackedMemoryDb):
    def page_memories(self, user_id: Any = None, **options: Any) -> Any:
        page = super().page_memories(user_id, **options)
        last = json.dumps([page.rows[-1].user_id, page.rows[-1].id, page.next]).encode()
        return Page(page.rows, urlsafe_b64encode(last).decode().rstrip("="))


@on_db("R3-a-page-has-at-least-one-row-memory")
class TakesPagesOfNothing(StoreBackedMemoryDb):
    def page_memories(self, user_id: Any = None, *, limit: Any = 100, **options: Any) -> Any:
        return super().page_memories(user_id, limit=limit or 100, **options)


@on_store("R3-cursors-lead-through-a-listing-memory")
class RepeatsRowsOfNobody(InMemoryStore):
    async def page(self, kind: Kind, scope: Scope, **options: Any) -> list[Record | Corrupt]:
        after = options.pop("after")
        if scope == Scope.of_user(None) and after is not None:
            after -= 1
        return await super().page(kind, scope, after=after, **options)


class CountsPositionsAnew(InMemoryStore):
    async def drop(self) -> None:
        await super().drop()
        self._positions = count(1)


class Stale:
    """A store as one object sees it, that asks for the generation once."""

    kept: str | None = None

    def __init__(self, store: InMemoryStore) -> None:
        self.store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    async def generation(self, kind: Kind) -> str:
        self.kept = self.kept or await self.store.generation(kind)
        return self.kept

    async def drop(self) -> None:
        await self.store.drop()
        self.kept = None


def remembers_its_generation(_: Path) -> BackendUnderTest:
    """Another object's drop is not noticed, and positions begin anew."""
    store: Any = CountsPositionsAnew()
    return BackendUnderTest(open=lambda: StoreBackedMemoryDb(cast(Any, Stale(store))), waits=False)


BROKEN["RemembersItsGeneration", "R3-a-cursor-does-not-outlive-its-store-memory"] = (
    remembers_its_generation
)


@on_store("R3-a-place-is-given-once-memory")
class GivesPlacesAgain(InMemoryStore):
    """The place of a new row is the one behind the last row that is there."""

    async def put(self, write: Write) -> Record:
        rows = self._of(write.record.kind).values()
        self._positions = count(max((row.position for row in rows), default=0) + 1)
        return await super().put(write)
