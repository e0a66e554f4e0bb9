"""The driver's client: made at the first request, and used for requests with a deadline.

The rest of the backend is written once, as coroutines. What differs is in ``sync_client`` and
``async_client``: a synchronous client answers inside the call, an asynchronous one is awaited.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Hashable, Sequence
from typing import Any, TypeVar

import google.auth
from google.cloud import firestore

from buddy.memory.errors import UnavailableError
from buddy_memory_firestore.deadline import Deadline
from buddy_memory_firestore.errors import (
    NAME,
    PreconditionFailed,
    is_transient,
    no_project,
    refused,
    translate,
)

T = TypeVar("T")

MAX_AT_ONCE = 16
"""Requests that ``gather`` has under way at a time."""

_STREAMS = ("batch_get_documents", "run_query", "run_aggregation_query")


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
    async def gather(self, calls: Sequence[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
        """Return what the calls return; up to MAX_AT_ONCE of them are under way at a time."""

    @abstractmethod
    async def single_flight(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what ``work`` returns, or raise what it raises; calls for the same key that come
        meanwhile get the same."""

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

    async def call(
        self, method: str, request: Any, deadline: Deadline, *, is_conditional: bool = False
    ) -> Any:
        """Send one request, retry while that may help, and return the answer (of streams: a list).

        Raises from buddy.memory.errors, or, where the request has preconditions,
        PreconditionFailed.
        """
        retried = False
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
                pause = deadline.pause() if is_transient(error) else None
                if pause is None:
                    raise _meaning(error, is_conditional, retried) from error
            retried = True
            await self.pause(pause)

    async def again(self, deadline: Deadline, reason: str) -> None:
        """Wait after a lost race; raise UnavailableError when it is too late for an attempt."""
        pause = deadline.jitter()
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


def _meaning(error: Exception, is_conditional: bool = False, retried: bool = False) -> Exception:
    """Return the error to raise instead of one of a request."""
    meaning = translate(error) or error
    if isinstance(meaning, PreconditionFailed):
        if not is_conditional:
            return refused(str(meaning))
        meaning.retried = retried
    return meaning
