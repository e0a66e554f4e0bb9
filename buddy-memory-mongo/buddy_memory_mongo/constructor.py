"""The constructors: from the arguments to a store."""

from __future__ import annotations

from typing import Any

from pymongo import AsyncMongoClient, MongoClient

from buddy.memory.storage.settings import Settings
from buddy_memory_mongo.connection import AsyncConnection, Connection, SyncConnection
from buddy_memory_mongo.server import Server
from buddy_memory_mongo.sharded import ShardedMongoStore
from buddy_memory_mongo.store import MongoStore
from buddy_memory_mongo.target import Target, check_client, check_names


class _MongoSettings(Settings):
    def _open(
        self,
        connect: type[Connection],
        client_class: type[Any],
        collection_name: str,
        **settings: Any,
    ) -> None:
        client = settings["client"]
        target = Target.parse(None if client else settings["db_url"], settings["db_name"])
        if client is not None:
            check_client(client, client_class)
        check_names(target.database, collection_name)
        store = ShardedMongoStore if settings["sharded"] else self._store_class()
        server = Server(connect(target, client), target.database, collection_name)
        super().__init__(store(server), {"collection_name": collection_name, **settings})

    @staticmethod
    def _store_class() -> type[MongoStore]:
        return MongoStore


class MongoConstructor(_MongoSettings):
    """Memories in MongoDB: through ``client``, a MongoClient of yours that stays yours, or else
    through a client of its own for ``db_url`` (``mongodb://localhost`` unless given).

    The database is the one in the URL's path, or else ``db_name``. Memories are kept in
    ``collection_name``, summaries in ``{collection_name}_summaries``; the first write makes both
    with their indexes. ``sharded=True`` is for collections sharded by ``{user_id: "hashed"}``.
    A server that cannot be reached is waited for 15 seconds, or as long as the URL's
    ``serverSelectionTimeoutMS`` says. Raises ConfigError; does no I/O.
    """

    def __init__(
        self,
        collection_name: str = "memory",
        db_url: str | None = None,
        db_name: str = "buddy",
        client: MongoClient[Any] | None = None,
        *,
        sharded: bool = False,
    ) -> None:
        self._open(
            SyncConnection,
            MongoClient,
            collection_name,
            db_url=db_url,
            db_name=db_name,
            client=client,
            sharded=sharded,
        )


class AsyncMongoConstructor(_MongoSettings):
    """As MongoConstructor, for asyncio; ``client`` is an AsyncMongoClient, which serves one event
    loop. A client of its own is made for each event loop that uses the object."""

    @staticmethod
    def _store_class() -> type[MongoStore]:
        from buddy_memory_mongo.together import TogetherStore

        return TogetherStore

    def __init__(
        self,
        collection_name: str = "memory",
        db_url: str | None = None,
        db_name: str = "buddy",
        client: AsyncMongoClient[Any] | None = None,
        *,
        sharded: bool = False,
    ) -> None:
        self._open(
            AsyncConnection,
            AsyncMongoClient,
            collection_name,
            db_url=db_url,
            db_name=db_name,
            client=client,
            sharded=sharded,
        )
