"""What both classes are made of: the constructor's arguments, checked, and the store they name."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from google.cloud import firestore

from buddy.memory.errors import ConfigError
from buddy.memory.options import construct
from buddy.memory.storage.database_base import StoreBackedDatabase
from buddy_memory_firestore.async_client import AsyncConnection
from buddy_memory_firestore.client import Connection
from buddy_memory_firestore.names import check_collection
from buddy_memory_firestore.store import FirestoreStore
from buddy_memory_firestore.sync_client import SyncConnection
from buddy_memory_firestore.url import parse

if TYPE_CHECKING:
    from typing_extensions import Self

TIMEOUT = 15.0
"""Seconds that a request may take, retries included, unless told otherwise."""


class FirestoreConstructor(StoreBackedDatabase):
    """Memories in Firestore, in native mode.

    ``collection_name`` names the collection of memories; summaries are kept in
    ``{collection_name}_summaries``. ``client`` is used as it is and never closed; without one the
    database ``db_name`` of ``project_id`` (else GOOGLE_CLOUD_PROJECT) is opened with the
    application's default credentials, or at FIRESTORE_EMULATOR_HOST. ``timeout`` is in seconds.
    ``expire`` is how many seconds a row lives that is written without a ``ttl``; None: for ever.
    Raises ConfigError; does no I/O.
    """

    def _open(self, is_async: bool, settings: dict[str, Any]) -> None:
        collection = check_collection(settings["collection_name"])
        store = FirestoreStore(_connect(is_async, settings), collection)
        super().__init__(store, settings)

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """Open ``firestore://PROJECT/DATABASE?collection_name=…``; both names may be left out."""
        return construct(cls, {**parse(cls, url), **options})


def _connect(is_async: bool, settings: dict[str, Any]) -> Connection:
    """Return the connection for the arguments. Does no I/O. Raises ConfigError."""
    project, database = settings["project_id"], settings["db_name"]
    client, timeout = settings["client"], settings["timeout"]
    if client is not None:
        _check_client(is_async, client)
        if project or database != "(default)":
            raise ConfigError(
                "a client names its project and database; leave out project_id, db_name"
            )
    # It is sent in headers, which refuse other characters.
    if not isinstance(database, str) or not re.fullmatch(r"(?=.*\S)[ -.0-~]+", database):
        raise ConfigError(f"db_name {database!r:.80} names no database")
    if isinstance(project, str) and not project.strip():
        raise ConfigError("project_id must not be empty; leave it out for the environment's")
    if timeout <= 0:
        raise ConfigError("timeout is a number of seconds above 0")
    if client is None and project is None:
        project = os.environ.get("GOOGLE_CLOUD_PROJECT")
    cls = AsyncConnection if is_async else SyncConnection
    return cls(project, database, client, timeout)


def _check_client(is_async: bool, client: Any) -> None:
    wanted: type[Any] = firestore.AsyncClient if is_async else firestore.Client
    other: type[Any] = firestore.Client if is_async else firestore.AsyncClient
    if not isinstance(client, wanted):
        hint = " (use the other class for that)" if isinstance(client, other) else ""
        given = type(client).__name__
        raise ConfigError(f"client must be a {wanted.__name__}, not {given}{hint}")
