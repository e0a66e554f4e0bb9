"""Collections and their indexes: made, checked and dropped (rules R5, R9, R15)."""

from __future__ import annotations

from functools import partial
from time import monotonic

from buddy.memory.errors import AccessError, SchemaError
from buddy.memory.storage.record import Kind
from buddy_memory_mongo.database import Database
from buddy_memory_mongo.errors import Duplicate
from buddy_memory_mongo.layout import Indexes, Layout

CHECK_SECONDS = 60.0
"""Seconds that a check of the indexes stays valid. Another process may drop the collection, and a
write would make it again without them."""


class Schema:
    """The collections of a store. ``seen_complete`` holds when the indexes of a kind were seen."""

    def __init__(self, database: Database, seen_complete: dict[Kind, float]) -> None:
        self._database = database
        self.layouts = {kind: Layout(kind, name) for kind, name in database.collections.items()}
        self._seen_complete = seen_complete

    def is_checked(self, kind: Kind) -> bool:
        """Tell whether the indexes were seen lately: without them a row could be stored twice."""
        seen = self._seen_complete.get(kind)
        return seen is not None and monotonic() - seen < CHECK_SECONDS

    async def check_empty(self, kind: Kind) -> None:
        """Refuse to show a collection in another layout, or of other software, as empty (R7).

        Needed for an empty answer only: a document of ours shows that the collection is ours.
        """
        if kind in self._seen_complete:
            return
        try:
            await self._database.single_flight(("check", kind), partial(self._check, kind))
        except AccessError:  # Reading may be allowed without the right to list indexes.
            self._seen_complete[kind] = -CHECK_SECONDS

    async def create(self) -> None:
        """Make the indexes that are missing, and with them the collections."""
        for kind in Kind:
            if not await self._check(kind):
                await self._make(kind)

    async def _make(self, kind: Kind) -> None:
        layout = self.layouts[kind]
        try:
            await self._database.call(kind, lambda c: c.create_indexes(layout.indexes()))
        except AccessError as error:
            raise AccessError(str(error), layout.statement()) from error
        except Duplicate as error:
            raise SchemaError(
                f"The collection {layout.collection!r} holds two documents of one user and id.",
                "Delete one of them and call create() again.",
            ) from error
        await self._check(kind)

    async def _check(self, kind: Kind) -> bool:
        """Tell whether the indexes are there. Raises SchemaError for another layout."""
        layout = self.layouts[kind]
        if layout.is_complete(await self.indexes(kind)):
            self._seen_complete[kind] = monotonic()
            return True
        foreign = await self._database.call(kind, lambda c: c.find_one(layout.foreign()))
        if foreign is not None:
            raise layout.refusal(foreign)
        return False

    async def indexes(self, kind: Kind) -> Indexes:
        """Return the indexes of a collection; none where there is no collection."""
        found = await self._database.call(kind, lambda c: c.index_information())
        return {tuple(index["key"]): {**index, "name": name} for name, index in found.items()}

    async def refuse_earlier(self, kind: Kind) -> None:
        """Raise SchemaError for a collection in the layout of an earlier buddy-memory."""
        layout = self.layouts[kind]
        try:
            indexes = await self.indexes(kind)
        except AccessError:
            indexes = {}
        if layout.names_rows(indexes):
            return
        document = await self._database.call(kind, lambda c: c.find_one(layout.earlier()))
        if document is not None or layout.is_earlier(indexes):
            raise layout.earlier_layout()

    async def exists(self) -> bool:
        """Tell whether there is a collection of memories."""
        name, database = self._database.collections[Kind.MEMORY], self._database.name
        found = await self._database.call_client(
            lambda client: client[database].list_collection_names(
                filter={"name": name}, authorizedCollections=True
            )
        )
        if found and Kind.MEMORY not in self._seen_complete:
            await self.refuse_earlier(Kind.MEMORY)
        return bool(found)

    async def drop(self) -> None:
        """Remove both collections, unless one of them holds something of other software."""
        for kind in Kind:
            await self._refuse_foreign(kind)
        for kind in Kind:
            # Another task may check the indexes before the collection is dropped, or meanwhile.
            self._seen_complete.pop(kind, None)
            await self._database.call(kind, lambda c: c.drop())
            self._seen_complete.pop(kind, None)

    async def _refuse_foreign(self, kind: Kind) -> None:
        await self.refuse_earlier(kind)
        layout = self.layouts[kind]
        query = {**layout.foreign(), "$nor": [layout.legacy()]}
        if await self._database.call(kind, lambda c: c.find_one(query)):
            raise SchemaError(
                f"The collection {layout.collection!r} holds documents of other software too.",
                "It was not dropped; clear() deletes what belongs to this store.",
            )
