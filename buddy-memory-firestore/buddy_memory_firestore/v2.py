"""The classes of version 2."""

from __future__ import annotations

from google.cloud import firestore

from buddy.memory.v2.db.store_backed import AsyncStoreBackedMemoryDb, StoreBackedMemoryDb
from buddy_memory_firestore.constructor import TIMEOUT, FirestoreConstructor

__all__ = ["AsyncFirestoreMemoryDb", "FirestoreMemoryDb"]


class FirestoreMemoryDb(FirestoreConstructor, StoreBackedMemoryDb):
    """Version 2 on Firestore; the arguments are those of FirestoreConstructor."""

    def __init__(
        self,
        collection_name: str = "memory",
        db_name: str = "(default)",
        client: firestore.Client | None = None,
        project_id: str | None = None,
        timeout: float = TIMEOUT,
        *,
        expire: float | None = None,
    ) -> None:
        self._open(
            False,
            {
                "collection_name": collection_name,
                "db_name": db_name,
                "client": client,
                "project_id": project_id,
                "timeout": timeout,
                "expire": expire,
            },
        )


class AsyncFirestoreMemoryDb(FirestoreConstructor, AsyncStoreBackedMemoryDb):
    """FirestoreMemoryDb for asyncio; ``client`` is an AsyncClient."""

    def __init__(
        self,
        collection_name: str = "memory",
        db_name: str = "(default)",
        client: firestore.AsyncClient | None = None,
        project_id: str | None = None,
        timeout: float = TIMEOUT,
        *,
        expire: float | None = None,
    ) -> None:
        self._open(
            True,
            {
                "collection_name": collection_name,
                "db_name": db_name,
                "client": client,
                "project_id": project_id,
                "timeout": timeout,
                "expire": expire,
            },
        )
