"""A MongoDB database as a Store: one collection of memories, one of summaries."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence
from time import monotonic
from typing import Any

from bson import ObjectId
from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import ReadPreference, ReturnDocument

from buddy.memory.errors import (
    AccessError,
    ConflictError,
    MemoryDbError,
    OwnerMismatchError,
    SchemaError,
    UnavailableError,
)
from buddy.memory.storage.record import Corrupt, Kind, Record, Write
from buddy.memory.storage.store import Store
from buddy_memory_mongo import documents
from buddy_memory_mongo.bulk import Bulk
from buddy_memory_mongo.connection import Connection, Transaction, Work
from buddy_memory_mongo.errors import NAME, Duplicate, translate
from buddy_memory_mongo.layout import Layout
from buddy_memory_mongo.positions import Positions
from buddy_memory_mongo.upgrade import older, upgrade

LOOK_AGAIN_SECONDS = 60.0
"""How long a look at the indexes counts. Somebody else may drop the collection, and a write would
make it again without them."""

ATTEMPTS = 100
"""How often a write is tried that others overtake each time."""

# Whatever the caller's client is set to: plain dicts, and dates that need not fit into Python's.
_CODEC: CodecOptions[dict[str, Any]] = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_AUTO
)


class MongoStore(Store):
    """Two collections of a database."""

    unique_ids = True

    def __init__(self, connection: Connection, database: str, collection: str) -> None:
        self._connection = connection
        self._database = database
        self.names = {kind: collection + documents.SUFFIX[kind] for kind in Kind}
        self._layouts = {
            kind: Layout(kind, name, unique=self.unique_ids) for kind, name in self.names.items()
        }
        self._positions = {kind: Positions() for kind in Kind}
        self._seen_complete: dict[Kind, float] = {}

    # --- reaching the server

    def collection(self, client: Any, kind: Kind, *, primary: bool = False) -> Any:
        """Return the collection of a kind, of either driver."""
        preference = ReadPreference.PRIMARY if primary else None
        return client[self._database].get_collection(
            self.names[kind], codec_options=_CODEC, read_preference=preference
        )

    async def io(self, kind: Kind, work: Any, *, primary: bool = False) -> Any:
        """Return what ``work``, given the collection, returns."""
        return await self.run(lambda client: work(self.collection(client, kind, primary=primary)))

    async def run(self, work: Work) -> Any:
        """Return what ``work``, given the client, returns."""
        return await self._translated(self._connection.run(work))

    async def find(self, kind: Kind, *query: Any, primary: bool = False, **options: Any) -> Any:
        """Return the documents of a query as a list."""
        return await self.io(kind, lambda c: c.find(*query, **options).to_list(), primary=primary)

    async def transact(self, work: Transaction) -> Any:
        """Return what ``work`` returns, done in one transaction."""
        return await self._translated(self._connection.transact(work))

    async def _translated(self, call: Awaitable[Any]) -> Any:
        """Await the call and translate what the driver raises. The only place that does (R7)."""
        try:
            return await call
        except MemoryDbError:
            raise
        except Exception as error:
            meaning = translate(error)
            if meaning is None:
                raise
            raise meaning from error

    # --- the collections

    async def create(self) -> None:
        for kind in Kind:
            if not await self._look(kind):
                await self._make(kind)

    async def _make(self, kind: Kind) -> None:
        layout = self._layouts[kind]
        try:
            await self.io(kind, lambda c: c.create_indexes(layout.indexes()))
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
        layout = self._layouts[kind]
        if layout.is_complete(await self.io(kind, lambda c: c.index_information())):
            self._seen_complete[kind] = monotonic()
            return True
        stranger = await self.io(kind, lambda c: c.find_one(layout.strangers()))
        if stranger is not None:
            raise layout.refusal(stranger)
        return False

    def _is_known(self, kind: Kind) -> bool:
        seen = self._seen_complete.get(kind)
        return seen is not None and monotonic() - seen < LOOK_AGAIN_SECONDS

    async def _before_reading(self, kind: Kind) -> None:
        """Refuse to show a collection of an older release, or of somebody else, as empty (R7)."""
        if kind in self._seen_complete:
            return
        try:
            await self._look(kind)
        except AccessError:  # It may be read all the same, without the right to list indexes.
            self._seen_complete[kind] = -LOOK_AGAIN_SECONDS

    async def _before_writing(self, kind: Kind) -> None:
        """Make the collections at the first write (R5): without an index ids are not unique."""
        if not self._is_known(kind):
            await self.create()

    async def exists(self) -> bool:
        name = self.names[Kind.MEMORY]
        found = await self.run(
            lambda client: client[self._database].list_collection_names(
                filter={"name": name}, authorizedCollections=True
            )
        )
        return bool(found)

    async def drop(self) -> None:
        for kind in Kind:
            await self._refuse_strangers(kind)
        self._seen_complete.clear()
        for kind in Kind:
            await self.io(kind, lambda c: c.drop())

    async def _refuse_strangers(self, kind: Kind) -> None:
        layout = self._layouts[kind]
        query = {**layout.strangers(), "$nor": [layout.older()]}
        if await self.io(kind, lambda c: c.find_one(query)):
            raise SchemaError(
                f"The collection {layout.collection!r} holds documents of somebody else too.",
                "It was not dropped; clear() deletes what belongs to this store.",
            )

    def older(self) -> AsyncIterator[list[Record | Corrupt]]:
        return older(self, self._layouts[Kind.MEMORY])

    async def upgrade(self) -> None:
        layout = self._layouts[Kind.MEMORY]
        await upgrade(self, layout)
        if await self.exists():
            await self.create()

    # --- writing

    async def position(self, kind: Kind, count: int = 1) -> list[ObjectId]:
        """Return places after everything that is stored."""

        async def last() -> ObjectId | None:
            newest = await self.find(
                kind,
                documents.of_user(kind, None),
                {"_id": True},
                sort=[("_id", -1)],
                limit=1,
                primary=True,
            )
            return newest[0]["_id"] if newest else None

        return await self._positions[kind].take(count, last)

    async def put(self, write: Write) -> Record:
        payload = documents.dump_payload(write.record)
        await self._before_writing(write.record.kind)
        return await self.put_dumped(write, payload, plain=documents.is_plain(write))

    async def put_dumped(self, write: Write, payload: Any, *, plain: bool) -> Record:
        """Write until it is done or refused. ``plain`` tries the faster update first."""
        for _ in range(ATTEMPTS):
            try:
                state = await self._upsert(write, payload, plain=plain)
            except Duplicate as error:
                self._check_index(write.record, error)
                state = None
            if state is not None:
                return documents.stored(write.record, state)
            await self._explain(write)
            plain = False  # The stored time may be ahead of the clock.
        raise UnavailableError(NAME, f"others kept writing {write.record.id!r} at the same time")

    async def _upsert(self, write: Write, payload: Any, *, plain: bool) -> Any:
        """Return the state that one atomic command left, or None when no document matched."""
        return await self._update(write, payload, plain=plain, upsert=not write.if_version)

    async def _update(self, write: Write, payload: Any, *, plain: bool, upsert: bool) -> Any:
        kind = write.record.kind
        (position,) = await self.position(kind)
        filter = documents.plain_filter(write) if plain else documents.target(write)
        make = documents.plain_update if plain else documents.full_update
        update = make(write, payload, position)
        return await self.io(
            kind,
            lambda c: c.find_one_and_update(
                filter,
                update,
                projection=documents.STATE,
                upsert=upsert,
                return_document=ReturnDocument.AFTER,
            ),
        )

    def _check_index(self, record: Record, refusal: Duplicate) -> None:
        index = refusal.index
        if index is not None and set(index) - {documents.ID[record.kind], "_id"}:
            raise SchemaError(
                f"A unique index of the collection {self.names[record.kind]!r} on "
                f"{', '.join(index)} refuses the row.",
                "Drop that index: several rows may have the same value there.",
            ) from refusal

    async def _explain(self, write: Write) -> None:
        """Raise what kept the write from happening; return when it may be tried again."""
        kind, id, user_id = write.record.kind, write.record.id, write.record.user_id
        query = {documents.ID[kind]: id}
        found = await self.io(kind, lambda c: c.find_one(query), primary=True)
        version = 0 if found is None else found.get("version")
        if found is not None and found.get(documents.MARK[kind]) != documents.LAYOUT:
            raise self._layouts[kind].refusal(found)
        if found is not None and found.get("user_id") != user_id:
            raise OwnerMismatchError(id)
        if write.if_version is not None and write.if_version != version:
            raise ConflictError(id, write.if_version, int(version))

    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        await self._before_writing(writes[0].record.kind)
        return await Bulk(self, writes).run()

    # --- reading

    async def get(self, kind: Kind, id: str, user_id: str | None) -> Record | Corrupt | None:
        await self._before_reading(kind)
        query = documents.by_id(kind, id, user_id)
        found = await self.io(kind, lambda c: c.find_one(query))
        return None if found is None else documents.decode(kind, found)

    async def has(self, kind: Kind, id: str, user_id: str | None) -> bool:
        await self._before_reading(kind)
        query = documents.by_id(kind, id, user_id)
        return await self.io(kind, lambda c: c.find_one(query, {"_id": True})) is not None

    async def page(
        self,
        kind: Kind,
        user_id: str | None,
        *,
        newest_first: bool,
        after: Any,
        limit: int | None,
    ) -> list[Record | Corrupt]:
        await self._before_reading(kind)
        query = documents.of_user(kind, user_id)
        if after is not None:
            query["_id"] = {"$lt" if newest_first else "$gt": after}
        # The server takes 31 bits, and returns all in one answer where that is possible.
        limit = min(limit or 0, 2**31 - 2)
        found = await self.find(
            kind,
            query,
            sort=[("_id", -1 if newest_first else 1)],
            limit=limit,
            batch_size=limit,
        )
        return [documents.decode(kind, document) for document in found]

    async def count(self, kind: Kind, user_id: str | None) -> int:
        await self._before_reading(kind)
        query = documents.of_user(kind, user_id)
        return int(await self.io(kind, lambda c: c.count_documents(query)))

    # --- deleting

    async def delete(
        self, kind: Kind, id: str, user_id: str | None, if_version: int | None
    ) -> bool:
        query = documents.by_id(kind, id, user_id)
        if await self._delete_one(
            kind, query if if_version is None else {**query, "version": if_version}
        ):
            return True
        await self._before_reading(kind)
        if if_version is not None:
            found = await self.io(kind, lambda c: c.find_one(query), primary=True)
            version = 0 if found is None else found["version"]
            if version != if_version:
                raise ConflictError(id, if_version, int(version))
        return False

    async def _delete_one(self, kind: Kind, query: dict[str, Any]) -> int:
        result = await self.io(kind, lambda c: c.delete_one(query))
        return int(result.deleted_count)

    async def delete_many(self, kind: Kind, ids: Sequence[str], user_id: str | None) -> int:
        await self._before_reading(kind)
        return await Bulk.delete(self, kind, ids, user_id)

    async def delete_all(self, kind: Kind, user_id: str | None) -> int:
        await self._before_reading(kind)
        query = documents.of_user(kind, user_id)
        result = await self.io(kind, lambda c: c.delete_many(query))
        return int(result.deleted_count)

    # --- the rest

    async def ping(self) -> None:
        await self.run(lambda client: client[self._database].command("ping"))

    async def close(self) -> None:
        await self._connection.close()
