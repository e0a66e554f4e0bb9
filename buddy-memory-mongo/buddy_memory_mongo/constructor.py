"""The constructors: from their arguments to a store."""

from __future__ import annotations

from typing import Any

from pymongo import AsyncMongoClient, MongoClient

from buddy.memory.storage.database_base import StoreBackedDatabase
from buddy_memory_mongo.client import AsyncDriver, Driver, SyncDriver
from buddy_memory_mongo.database import Database
from buddy_memory_mongo.store import MongoStore
from buddy_memory_mongo.url import TIMEOUT, Target, check_client, check_names, check_timeout


class _MongoSettings(StoreBackedDatabase):
    def _open(
        self,
        driver: type[Driver],
        client_class: type[Any],
        collection_name: str,
        **settings: Any,
    ) -> None:
        client = settings["client"]
        check_timeout(settings["timeout"])
        check_names(settings["db_name"], collection_name)
        db_url = None if client is not None else settings["db_url"]
        target = Target.parse(db_url, settings["db_name"], settings["timeout"])
        if client is not None:
            check_client(client, client_class)
        check_names(target.database, collection_name)
        database = Database(driver(target, client), target.database, collection_name)
        store = self._store_class()(database)
        super().__init__(store, {"collection_name": collection_name, **settings})

    @staticmethod
    def _store_class() -> type[MongoStore]:
        return MongoStore


class MongoConstructor(_MongoSettings):
    """Memories in MongoDB, by ``client``, a MongoClient that stays yours to close, or else by a
    client of its own for ``db_url`` (``mongodb://localhost`` unless given).

    The database is the one in the URL's path, or else ``db_name``. Memories are kept in
    ``collection_name``, summaries in ``{collection_name}_summaries``; the first write makes both
    with their indexes. A call whose server does not answer within ``timeout`` seconds raises
    UnavailableError; None is no limit. Limits that the URL sets, as ``socketTimeoutMS``, and those
    of ``client`` apply instead. ``expire`` is how many seconds a row lives that is written without
    a ``ttl``; None: for ever. Raises ConfigError; does no I/O.
    """

    def __init__(
        self,
        collection_name: str = "memory",
        db_url: str | None = None,
        db_name: str = "buddy",
        client: MongoClient[Any] | None = None,
        timeout: float | None = TIMEOUT,
        *,
        expire: float | None = None,
    ) -> None:
        self._open(
            SyncDriver,
            MongoClient,
            collection_name,
            db_url=db_url,
            db_name=db_name,
            client=client,
            timeout=timeout,
            expire=expire,
        )


class AsyncMongoConstructor(_MongoSettings):
    """As MongoConstructor, for asyncio; ``client`` is an AsyncMongoClient, which serves one event
    loop. A client of its own is made for each event loop that uses the object."""

    @staticmethod
    def _store_class() -> type[MongoStore]:
        from buddy_memory_mongo.batched_store import BatchedMongoStore

        return BatchedMongoStore

    def __init__(
        self,
        collection_name: str = "memory",
        db_url: str | None = None,
        db_name: str = "buddy",
        client: AsyncMongoClient[Any] | None = None,
        timeout: float | None = TIMEOUT,
        *,
        expire: float | None = None,
    ) -> None:
        self._open(
            AsyncDriver,
            AsyncMongoClient,
            collection_name,
            db_url=db_url,
            db_name=db_name,
            client=client,
            timeout=timeout,
            expire=expire,
        )
