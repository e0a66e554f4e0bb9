"""The classes of version 2."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from google.cloud import firestore

from buddy.memory.errors import ConfigError
from buddy.memory.options import construct, split
from buddy.memory.storage.settings import Settings
from buddy.memory.v2.db.stored import AsyncStoredMemoryDb, StoredMemoryDb
from buddy_memory_firestore.connection import connect
from buddy_memory_firestore.store import FirestoreStore

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["AsyncFirestoreMemoryDb", "FirestoreMemoryDb"]

TIMEOUT = 15.0
"""Seconds that a call may take, repetitions included, unless told otherwise."""


class FirestoreConstructor(Settings):
    """Memories in Firestore, in native mode.

    ``collection_name`` names the collection of memories; summaries are kept in
    ``{collection_name}_summaries``. ``client`` is used as it is and never closed; without one the
    database ``db_name`` of ``project_id`` (else GOOGLE_CLOUD_PROJECT) is opened with the
    application's default credentials, or at FIRESTORE_EMULATOR_HOST. ``timeout`` is in seconds.
    Raises ConfigError; does no I/O.
    """

    def _open(self, is_async: bool, settings: dict[str, Any]) -> None:
        project = settings["project_id"]
        if project is None and settings["client"] is None:
            project = os.environ.get("GOOGLE_CLOUD_PROJECT")
        connection = connect(
            is_async, project, settings["db_name"], settings["client"], settings["timeout"]
        )
        store = FirestoreStore(connection, settings["collection_name"])
        super().__init__(store, settings)

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """Open ``firestore://PROJECT/DATABASE?collection_name=…``; both names may be left out."""
        rest, found = split(cls, url)
        address, _, unknown = rest.partition("?")
        if unknown:
            raise ConfigError(f"{cls.__name__} has no option {unknown.partition('=')[0]!r}")
        if "@" in address:
            raise ConfigError("a Firestore URL names no user: firestore://PROJECT/DATABASE")
        project, _, database = address.partition("://")[2].partition("/")
        named = {"project_id": unquote(project), "db_name": unquote(database)}
        for name, value in named.items():
            if value and found.setdefault(name, value) != value:
                raise ConfigError(f"{name} stands twice in the URL")
        return construct(cls, {**found, **options})


class FirestoreMemoryDb(FirestoreConstructor, StoredMemoryDb):
    """Version 2 on Firestore; the arguments are those of FirestoreConstructor."""

    def __init__(
        self,
        collection_name: str = "memory",
        db_name: str = "(default)",
        client: firestore.Client | None = None,
        project_id: str | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        self._open(
            False,
            {
                "collection_name": collection_name,
                "db_name": db_name,
                "client": client,
                "project_id": project_id,
                "timeout": timeout,
            },
        )


class AsyncFirestoreMemoryDb(FirestoreConstructor, AsyncStoredMemoryDb):
    """FirestoreMemoryDb for asyncio; ``client`` is an AsyncClient."""

    def __init__(
        self,
        collection_name: str = "memory",
        db_name: str = "(default)",
        client: firestore.AsyncClient | None = None,
        project_id: str | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        self._open(
            True,
            {
                "collection_name": collection_name,
                "db_name": db_name,
                "client": client,
                "project_id": project_id,
                "timeout": timeout,
            },
        )
