"""The client: whose it is, for which process or loop, and one request with a deadline.

The rest of the backend is written once, as coroutines. Here is what differs: a synchronous
client answers inside the call, an asynchronous one is awaited.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from abc import ABC, abstractmethod
from functools import cache
from random import random
from typing import Any

import google.auth
from google.cloud import firestore

from buddy.memory.errors import ConfigError, UnavailableError
from buddy.memory.storage.clients import PerLoop, PerProcess
from buddy_memory_firestore.errors import (
    NAME,
    PreconditionFailed,
    no_project,
    translate,
    worth_repeating,
)

_STREAMS = ("batch_get_documents", "run_query", "run_aggregation_query")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0


class Deadline:
    """When to give up repeating, and how long to wait between two attempts."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._pause = _FIRST_PAUSE

    @property
    def left(self) -> float:
        """Seconds for the next attempt, a little more than none."""
        return max(self._end - time.monotonic(), 0.05)

    def pause(self) -> float | None:
        """Return how many seconds to wait now, or None when there is no time left for it."""
        pause = self._pause * (0.5 + random())  # noqa: S311 - spreads load, keeps no secret
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        return pause if time.monotonic() + pause < self._end else None


class Connection(ABC):
    """Requests to one database, through a client made at the first of them."""

    def __init__(self, project: str | None, database: str, given: Any, timeout: float) -> None:
        self._project, self._database = project, database
        self._given = given
        self._taken = False
        self._credentials: Any = None
        self.timeout = timeout

    # --- what differs

    @abstractmethod
    async def client(self) -> Any:
        """Return the client of this process or loop."""

    @abstractmethod
    async def _send(self, method: Any, stream: bool, options: dict[str, Any]) -> Any:
        """Return the answer, or the list of the answers of a stream."""

    @abstractmethod
    async def pause(self, seconds: float) -> None:
        """Wait."""

    @abstractmethod
    async def close(self) -> None:
        """Close what was opened here; a client that was given stays open."""

    # --- one request

    async def root(self) -> str:
        """Return ``projects/…/databases/…``."""
        try:
            client = await self.client()
        except Exception as error:
            raise _meaning(error) from error
        return str(client._database_string)

    async def facts(self) -> dict[str, str]:
        """Return where the database is and which library speaks to it. Asks nobody: everything is
        durable there, and type and location need a right of their own."""
        client = await self.client()
        server = client._emulator_host
        return {
            "server": f"emulator at {server}" if server else str(client._target),
            "project": str(client.project),
            "database": str(client._database),
            "google-cloud-firestore": firestore.__version__,
        }

    async def call(self, method: str, request: Any) -> Any:
        """Send one request, again while that may help, and return the answer (of streams: a list).

        Raises from buddy.memory.errors, or PreconditionFailed.
        """
        deadline, repeated = Deadline(self.timeout), False
        while True:
            try:
                client = await self.client()
                options = {
                    "request": request,
                    "metadata": client._rpc_metadata,
                    "retry": None,  # The library's own goes on for minutes.
                    "timeout": deadline.left,
                }
                bound = getattr(client._firestore_api, method)
                return await self._send(bound, method in _STREAMS, options)
            except Exception as error:
                pause = deadline.pause() if worth_repeating(error) else None
                if pause is None:
                    meaning = _meaning(error)
                    if isinstance(meaning, PreconditionFailed):
                        meaning.repeated = repeated
                    raise meaning from error
            repeated = True
            await self.pause(pause)

    async def again(self, deadline: Deadline, reason: str) -> None:
        """Wait before something is tried once more; raise UnavailableError when it is too late."""
        pause = deadline.pause()
        if pause is None:
            raise UnavailableError(NAME, reason)
        await self.pause(pause)

    # --- making clients

    def _needs_credentials(self) -> bool:
        emulated = os.environ.get("FIRESTORE_EMULATOR_HOST")
        return self._given is None and self._credentials is None and not emulated

    def _find_credentials(self) -> None:
        """Ask for the application's default credentials; this may ask a metadata server."""
        credentials, project = google.auth.default(scopes=firestore.Client.SCOPE)
        self._credentials = credentials
        named = os.environ.get("GOOGLE_CLOUD_PROJECT") or os.environ.get("GCLOUD_PROJECT")
        self._project = self._project or named or project
        if not self._project:
            raise no_project()

    def _make(self, cls: Any) -> Any:
        if self._given is None:
            return cls(
                project=self._project, credentials=self._credentials, database=self._database
            )
        if not self._taken:
            self._taken = True
            return self._given
        # Another process or loop: a client is bound to the one that used it first.
        given = self._given
        return cls(
            project=given.project,
            credentials=given._credentials,
            database=given._database,
            client_info=given._client_info,
            client_options=given._client_options,
        )

    def _is_ours(self, client: Any) -> bool:
        return client is not self._given and client._firestore_api_internal is not None


def _meaning(error: Exception) -> Exception:
    return translate(error) or error


class SyncConnection(Connection):
    """Through ``firestore.Client``, one for each process."""

    def __init__(self, project: str | None, database: str, given: Any, timeout: float) -> None:
        super().__init__(project, database, given, timeout)
        self._clients = PerProcess[Any](self._open, self._close_client)

    def _open(self) -> Any:
        if self._needs_credentials():
            self._find_credentials()
        return self._make(firestore.Client)

    def _close_client(self, client: Any) -> None:
        if self._is_ours(client):
            client._firestore_api.transport.close()

    async def client(self) -> Any:
        return self._clients.get()

    async def _send(self, method: Any, stream: bool, options: dict[str, Any]) -> Any:
        try:
            answer = method(**options)
            return list(answer) if stream else answer
        except Exception:
            raise
        except BaseException:
            # Ctrl-C may leave gRPC holding a lock of its channel, for which all later calls wait.
            self._clients.abandon()
            raise

    async def pause(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251 - the caller is synchronous

    async def close(self) -> None:
        self._clients.close()


class AsyncConnection(Connection):
    """Through ``firestore.AsyncClient``, one for each event loop."""

    def __init__(self, project: str | None, database: str, given: Any, timeout: float) -> None:
        super().__init__(project, database, given, timeout)
        self._clients = PerLoop[Any](self._open, self._close_client, lambda client: None)

    def _open(self) -> Any:
        _spare_forked_children()
        return self._make(firestore.AsyncClient)

    async def _close_client(self, client: Any) -> None:
        if self._is_ours(client):
            await client._firestore_api.transport.close()

    async def client(self) -> Any:
        if self._needs_credentials():
            await asyncio.to_thread(self._find_credentials)
        return self._clients.get()

    async def _send(self, method: Any, stream: bool, options: dict[str, Any]) -> Any:
        answer = method(**options)
        return [part async for part in await answer] if stream else await answer

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        await self._clients.close()


@cache
def _spare_forked_children() -> None:
    """Leave nothing of gRPC's to a forked child's garbage collector.

    What asyncio used of it waits there for a thread, which the child does not have: it would stand
    still for ever, or crash.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=gc.collect)


def connect(
    is_async: bool, project: str | None, database: Any, client: Any, timeout: float
) -> Connection:
    """Return the connection for the constructor's arguments. Does no I/O. Raises ConfigError."""
    wanted: type[Any] = firestore.AsyncClient if is_async else firestore.Client
    other: type[Any] = firestore.Client if is_async else firestore.AsyncClient
    if client is not None and not isinstance(client, wanted):
        hint = " (use the other class for that)" if isinstance(client, other) else ""
        given = type(client).__name__
        raise ConfigError(f"client must be a {wanted.__name__}, not {given}{hint}")
    if client is not None and (project or database != "(default)"):
        raise ConfigError("a client names its project and database; leave out project_id, db_name")
    if not isinstance(database, str) or not database or "/" in database:
        raise ConfigError(f"db_name {database!r:.80} names no database")
    if timeout <= 0:
        raise ConfigError("timeout is a number of seconds above 0")
    cls = AsyncConnection if is_async else SyncConnection
    return cls(project, database, client, timeout)
