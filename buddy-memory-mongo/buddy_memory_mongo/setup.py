"""Making, checking and removing the collections (rules R5, R9, R15)."""

from __future__ import annotations

from functools import partial
from time import monotonic

from buddy.memory.errors import AccessError, SchemaError
from buddy.memory.storage.record import Kind
from buddy_memory_mongo.errors import Duplicate
from buddy_memory_mongo.layout import Layout
from buddy_memory_mongo.server import Server

LOOK_AGAIN_SECONDS = 60.0
"""How long a look at the indexes counts. Somebody else may drop the collection, and a write would
make it again without them."""


class Setup:
    """What has to be so before a store reads or writes. ``seen_complete`` holds when the indexes of
    a kind were seen; ``unique_ids`` is False where a second collection keeps ids unique."""

    def __init__(
        self, server: Server, seen_complete: dict[Kind, float], *, unique_ids: bool
    ) -> None:
        self._server = server
        self.layouts = {
            kind: Layout(kind, name, unique=unique_ids) for kind, name in server.names.items()
        }
        self._seen_complete = seen_complete

    async def check_nothing(self, kind: Kind) -> None:
        """Refuse to show a collection of an older release, or of somebody else, as empty (R7).

        For an answer of nothing only: where there is a row of ours, ``create`` has looked before.
        """
        if kind in self._seen_complete:
            return
        try:
            await self._server.together(("look", kind), partial(self._look, kind))
        except AccessError:  # It may be read all the same, without the right to list indexes.
            self._seen_complete[kind] = -LOOK_AGAIN_SECONDS

    def is_ready(self, kind: Kind) -> bool:
        """Tell whether the indexes were seen lately: without them ids are not unique."""
        seen = self._seen_complete.get(kind)
        return seen is not None and monotonic() - seen < LOOK_AGAIN_SECONDS

    async def create(self) -> None:
        """Make the indexes that are missing, and with them the collections."""
        for kind in Kind:
            if not await self._look(kind):
                await self._make(kind)

    async def _make(self, kind: Kind) -> None:
        layout = self.layouts[kind]
        try:
            await self._server.io(kind, lambda c: c.create_indexes(layout.indexes()))
        except AccessError as error:
            raise AccessError(str(error), layout.statement()) from error
        except Duplicate as error:
            raise SchemaError(
                f"The collection {layout.collection!r} holds two documents with one id.",
                "Delete one of them and call create() again.",
            ) from error
        await self._look(kind)

    async def _look(self, kind: Kind) -> bool:
        """Tell whether the indexes are there. Raises SchemaError for a collection of others."""
        layout = self.layouts[kind]
        if layout.is_complete(await self._server.io(kind, lambda c: c.index_information())):
            self._seen_complete[kind] = monotonic()
            return True
        stranger = await self._server.io(kind, lambda c: c.find_one(layout.strangers()))
        if stranger is not None:
            raise layout.refusal(stranger)
        return False

    async def exists(self) -> bool:
        """Tell whether there is a collection of memories."""
        name, database = self._server.names[Kind.MEMORY], self._server.database
        found = await self._server.run(
            lambda client: client[database].list_collection_names(
                filter={"name": name}, authorizedCollections=True
            )
        )
        return bool(found)

    async def drop(self) -> None:
        """Remove both collections, unless there is something of somebody else's in one of them."""
        for kind in Kind:
            await self._refuse_strangers(kind)
        for kind in Kind:
            # Others may look before it is dropped, or while it is.
            self._seen_complete.pop(kind, None)
            await self._server.io(kind, lambda c: c.drop())
            self._seen_complete.pop(kind, None)

    async def _refuse_strangers(self, kind: Kind) -> None:
        layout = self.layouts[kind]
        query = {**layout.strangers(), "$nor": [layout.older()]}
        if await self._server.io(kind, lambda c: c.find_one(query)):
            raise SchemaError(
                f"The collection {layout.collection!r} holds documents of somebody else too.",
                "It was not dropped; clear() deletes what belongs to this store.",
            )

    async def upgrade(self) -> None:
        """Bring memories of an older release up to date, and make what indexes they lack."""
        from buddy_memory_mongo.upgrade import upgrade  # Few stores have any.

        await upgrade(self._server, self.layouts[Kind.MEMORY])
        if await self.exists():
            await self.create()
