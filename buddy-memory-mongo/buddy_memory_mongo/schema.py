"""Collections and their indexes: made, checked and dropped (rules R5, R9, R15)."""

from __future__ import annotations

from functools import partial
from time import monotonic
from typing import Any

from pymongo import IndexModel

from buddy.memory.errors import AccessError, SchemaError
from buddy.memory.storage.record import Kind
from buddy_memory_mongo.database import Database
from buddy_memory_mongo.duplicates import remove_duplicates
from buddy_memory_mongo.errors import Duplicate
from buddy_memory_mongo.layout import Indexes, Layout
from buddy_memory_mongo.process_state import ProcessState

CHECK_SECONDS = 60.0
"""Seconds that a check of the indexes stays valid. Another process may drop the collection, and a
write would make it again without them."""

INSERTED_CHECK_SECONDS = 5.0
"""As CHECK_SECONDS, after a row was inserted: only an insert makes a collection again."""

_ATTEMPTS = 20
"""How often the indexes are tried to be made while rows are doubled by concurrent writers."""


class Schema:
    """The collections of a store."""

    def __init__(self, database: Database, state: ProcessState) -> None:
        self._database = database
        self.layouts = {kind: Layout(kind, name) for kind, name in database.collections.items()}
        self._seen_complete, self._inserted = state.seen_complete, state.inserted

    def is_checked(self, kind: Kind) -> bool:
        """Tell whether the indexes were seen lately: without them a row could be stored twice."""
        seen = self._seen_complete.get(kind)
        valid = INSERTED_CHECK_SECONDS if kind in self._inserted else CHECK_SECONDS
        return seen is not None and monotonic() - seen < min(valid, CHECK_SECONDS)

    def note_insert(self, kind: Kind) -> None:
        """Remember that a row was inserted, by which the server makes a missing collection."""
        self._inserted.add(kind)

    async def check_empty(self, kind: Kind) -> None:
        """Refuse to show a collection in another layout, or of other software, as empty (R7).

        Needed for an empty answer only: a document of ours shows that the collection is ours.
        """
        if kind in self._seen_complete:
            return
        try:
            check = partial(self._check, kind)
            complete = await self._database.single_flight(("check", kind), check)
        except AccessError:  # Reading may be allowed without the right to list indexes.
            self._seen_complete[kind] = -CHECK_SECONDS
            return
        if kind is Kind.SUMMARY and not complete:
            # Where the memories are not ours, nothing is a store without summaries.
            await self.check_empty(Kind.MEMORY)

    async def create(self) -> None:
        """Make the indexes that are missing, and with them the collections."""
        for kind in Kind:
            if not await self._check(kind):
                await self._make(kind)

    async def _make(self, kind: Kind) -> None:
        layout = self.layouts[kind]
        for _ in range(_ATTEMPTS):
            try:
                await self._make_indexes(kind, layout.indexes())
                break
            except Duplicate:
                # All documents are ours here. They stand twice where writers met a drop.
                if not await remove_duplicates(self._database, kind):
                    raise layout.two_of_one_key() from None
        await self._check(kind)

    async def _make_indexes(self, kind: Kind, indexes: list[IndexModel]) -> None:
        try:
            # The server goes on with it when the client has given up, and the next call waits on.
            await self._database.call(kind, lambda c: c.create_indexes(indexes), long=True)
        except AccessError as error:
            raise AccessError(str(error), self.layouts[kind].statement()) from error

    async def make_key_index(self, kind: Kind) -> None:
        """Make the index that names rows. Raises SchemaError where documents stand twice."""
        layout = self.layouts[kind]
        try:
            await self._make_indexes(kind, [layout.key_index()])
        except Duplicate as error:
            raise layout.two_of_one_key() from error

    async def _check(self, kind: Kind) -> bool:
        """Tell whether the indexes are there. Raises SchemaError for another layout."""
        layout = self.layouts[kind]
        self._inserted.discard(kind)
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

    async def refuse_earlier(self, kind: Kind) -> bool:
        """Raise SchemaError for a collection in the layout of an earlier buddy-memory, or of the
        other kind; tell whether it has the index by which it is surely ours."""
        layout = self.layouts[kind]
        try:
            indexes = await self.indexes(kind)
        except AccessError:
            indexes = {}
        if layout.names_rows(indexes):
            return True
        document = await self._database.call(kind, lambda c: c.find_one(layout.earlier()))
        if document is not None:
            raise layout.earlier_layout()
        layout.refuse_others(indexes)
        return False

    async def exists(self) -> bool:
        """Tell whether there is a collection of memories."""
        name, database = self._database.collections[Kind.MEMORY], self._database.name
        found = await self._database.call_client(
            lambda client: client[database].list_collection_names(
                filter={"name": name}, authorizedCollections=True
            )
        )
        unseen = found and Kind.MEMORY not in self._seen_complete
        if unseen and not await self.refuse_earlier(Kind.MEMORY):
            await self._refuse_others(Kind.MEMORY)
        return bool(found)

    async def _refuse_others(self, kind: Kind) -> None:
        """Raise SchemaError where all documents are of other software, or of the other kind."""
        layout = self.layouts[kind]
        if await self._database.call(kind, lambda c: c.find_one(layout.ours())) is None:
            foreign = await self._foreign(kind)
            if foreign is not None:
                raise layout.refusal(foreign)

    async def generation(self, kind: Kind) -> str:
        """Return what identifies the collection that is there now; "" where there is none."""
        name = self._database.collections[kind]
        try:
            found = await self._database.list_collections({"name": name})
        except AccessError:  # Some roles may only write. The name tells at least other stores.
            return self._database.name + "." + name
        if not found:
            return ""
        uuid: Any = found[0].get("info", {}).get("uuid")
        return self._database.name + "." + name if uuid is None else bytes(uuid).hex()

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
        if await self._foreign(kind) is not None:
            raise SchemaError(
                f"The collection {self.layouts[kind].collection!r} holds documents of other "
                "software too.",
                "It was not dropped; clear() deletes what belongs to this store.",
            )

    async def _foreign(self, kind: Kind) -> Any:
        """Return a document that is neither ours nor of older software, if there is one."""
        layout = self.layouts[kind]
        query = {**layout.foreign(), "$nor": [layout.legacy()]}
        return await self._database.call(kind, lambda c: c.find_one(query))
