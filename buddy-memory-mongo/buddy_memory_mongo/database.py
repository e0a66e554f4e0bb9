"""The collections of a store: every call of the driver passes here, with its errors translated."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable
from contextlib import nullcontext
from typing import Any

from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import ReadPreference

from buddy.memory.storage.record import Kind
from buddy_memory_mongo.client import Call, Driver, T
from buddy_memory_mongo.encoding import SUFFIX, Document, is_ours, mark
from buddy_memory_mongo.errors import Translated

# Whatever the caller's client is set to: plain dicts, and dates that need not fit into Python's.
_CODEC: CodecOptions[dict[str, Any]] = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_AUTO
)

_translated = Translated()
_NO_LIMIT = nullcontext()

_FEW = 1000
"""Documents that come in little time."""


class Database:
    """The collections of a store, one for each kind."""

    def __init__(self, driver: Driver, name: str, collection: str) -> None:
        self._driver = driver
        self.server = driver.server
        self.name = name
        self.collections = {kind: collection + SUFFIX[kind] for kind in Kind}
        # With the client of each: a forked child and every event loop have another one.
        self._cached: dict[tuple[Kind, bool], tuple[Any, Any]] = {}

    def client(self) -> Any:
        """Return the client of this process or event loop."""
        with _translated:
            return self._driver.client()

    def _collection(self, client: Any, kind: Kind, primary: bool) -> Any:
        cached = self._cached.get((kind, primary))
        if cached is not None and cached[0] is client:
            return cached[1]
        collection = client[self.name].get_collection(
            self.collections[kind],
            codec_options=_CODEC,
            read_preference=ReadPreference.PRIMARY if primary else None,
        )
        self._cached[kind, primary] = client, collection
        return collection

    async def call(
        self, kind: Kind, call: Call, *, primary: bool = False, long: bool = False
    ) -> Any:
        """Return the result of a call on the collection of a kind.

        ``long`` is for calls of many requests, and for a request that may take the server long:
        the time limit is that of each wait for an answer, and not that of the call.
        """
        with _translated, _NO_LIMIT if long else self._driver.time_limit():
            collection = self._collection(self._driver.client(), kind, primary)
            return await self._driver.settle(call(collection))

    async def call_client(self, call: Call) -> Any:
        """Return the result of a call on the client."""
        with _translated, self._driver.time_limit():
            return await self._driver.settle(call(self._driver.client()))

    async def list_collections(self, filter: dict[str, Any]) -> list[Document]:
        """Return what the server tells about the collections that match ``filter``."""
        answer = await self.call_client(
            lambda client: client[self.name].command(
                "listCollections", filter=filter, codec_options=_CODEC
            )
        )
        found: list[Document] = answer["cursor"]["firstBatch"]
        return found

    async def single_flight(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what ``work`` returns; tasks that ask for ``key`` meanwhile wait for that one."""
        return await self._driver.single_flight(key, work)

    async def find(self, kind: Kind, *query: Any, primary: bool = False, **options: Any) -> Any:
        """Return the documents of a query as a list."""
        long = not 0 < abs(options.get("limit", 0)) <= _FEW
        return await self.call(
            kind, lambda c: c.find(*query, **options).to_list(), primary=primary, long=long
        )

    async def find_ours(self, kind: Kind, query: dict[str, Any], **options: Any) -> list[Document]:
        """Return our documents that match ``query``, which need not name the mark.

        Without the mark an index answers the query by itself. Only where the answer has documents
        of other software among ours, the server is asked again with the mark.
        """
        found: list[Document] = await self.find(kind, query, **options)
        for document in found:
            if not is_ours(kind, document):
                found = await self.find(kind, {**query, **mark(kind)}, **options)
                break
        return found

    async def aggregate(
        self, kind: Kind, pipeline: list[dict[str, Any]], *, primary: bool = False, **options: Any
    ) -> list[Document]:
        """Return the documents that a pipeline makes."""
        with _translated:
            collection = self._collection(self._driver.client(), kind, primary)
            cursor = await self._driver.settle(collection.aggregate(pipeline, **options))
            found: list[Document] = await self._driver.settle(cursor.to_list())
            return found

    async def close(self) -> None:
        """Give back the clients that were made for the store."""
        self._cached.clear()
        await self._driver.close()
