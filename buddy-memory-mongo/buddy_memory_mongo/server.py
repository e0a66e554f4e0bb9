"""The server as a store sees it: its collections, and what goes wrong there in our words."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable
from typing import Any

from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import ReadPreference

from buddy.memory.storage.record import Kind
from buddy_memory_mongo.connection import Connection, T, Transaction, Work
from buddy_memory_mongo.documents import SUFFIX, Document, is_ours, mark
from buddy_memory_mongo.errors import Translated

# Whatever the caller's client is set to: plain dicts, and dates that need not fit into Python's.
_CODEC: CodecOptions[dict[str, Any]] = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_AUTO
)


_translated = Translated()  # The only place that does (R7).


class Server:
    """The collections of a store, one of each kind. Every call of the driver goes through here."""

    def __init__(self, connection: Connection, database: str, collection: str) -> None:
        self._connection = connection
        self.place = connection.place
        self.database = database
        self.names = {kind: collection + SUFFIX[kind] for kind in Kind}
        # The client beside each: a forked child and every event loop have another one.
        self._collections: dict[tuple[Kind, bool], tuple[Any, Any]] = {}

    def client(self) -> Any:
        """Return the client that the store uses here and now."""
        with _translated:
            return self._connection.client()

    def collection(self, client: Any, kind: Kind, *, primary: bool = False) -> Any:
        """Return the collection of a kind, of either driver."""
        known = self._collections.get((kind, primary))
        if known is not None and known[0] is client:
            return known[1]
        collection = client[self.database].get_collection(
            self.names[kind],
            codec_options=_CODEC,
            read_preference=ReadPreference.PRIMARY if primary else None,
        )
        self._collections[kind, primary] = client, collection
        return collection

    async def io(self, kind: Kind, work: Work, *, primary: bool = False) -> Any:
        """Return what ``work``, given the collection, returns."""
        with _translated:
            collection = self.collection(self._connection.client(), kind, primary=primary)
            return await self._connection.settle(work(collection))

    async def run(self, work: Work) -> Any:
        """Return what ``work``, given the client, returns."""
        with _translated:
            return await self._connection.settle(work(self._connection.client()))

    async def together(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what ``work`` returns; tasks that ask for ``key`` meanwhile wait for that one."""
        return await self._connection.together(key, work)

    async def transact(self, work: Transaction) -> Any:
        """Return what ``work`` returns, done in one transaction."""
        with _translated:
            return await self._connection.transact(work)

    async def find(self, kind: Kind, *query: Any, primary: bool = False, **options: Any) -> Any:
        """Return the documents of a query as a list."""
        return await self.io(kind, lambda c: c.find(*query, **options).to_list(), primary=primary)

    async def find_ours(self, kind: Kind, query: dict[str, Any], **options: Any) -> list[Document]:
        """Return our documents that match ``query``, which need not name the mark.

        An index finds them then, and nothing else has to be looked at. Only where somebody else's
        documents are among them the server is asked again, for ours alone.
        """
        found: list[Document] = await self.find(kind, query, **options)
        for document in found:
            if not is_ours(kind, document):
                found = await self.find(kind, {**query, **mark(kind)}, **options)
                break
        return found

    async def close(self) -> None:
        """Give back the clients that were made for the store."""
        self._collections.clear()
        await self._connection.close()
