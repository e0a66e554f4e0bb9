"""The synchronous client: one for each process, and threads for requests made at once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Coroutine, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from google.cloud import firestore

from buddy.memory.errors import UnavailableError
from buddy.memory.storage.client_cache import PerProcess
from buddy.memory.storage.sync_runner import run
from buddy.memory.storage.threads import is_at_exit
from buddy_memory_firestore.client import MAX_AT_ONCE, Connection
from buddy_memory_firestore.errors import NAME

T = TypeVar("T")


class SyncConnection(Connection):
    """Through ``firestore.Client``, one for each process."""

    def __init__(self, project: str | None, database: str, given: Any, timeout: float) -> None:
        super().__init__(project, database, given, timeout)
        self._clients = PerProcess[Any](self._open, self._close_client)
        self._under_way: dict[Hashable, Future[Any]] = {}

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

    async def gather(self, calls: Sequence[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
        if len(calls) == 1:
            return [await calls[0]()]
        pool = ThreadPoolExecutor(min(len(calls), MAX_AT_ONCE))
        try:
            try:
                answers = pool.map(lambda call: run(call()), calls)
            except RuntimeError as error:
                if not is_at_exit(error):
                    raise
                return [await call() for call in calls]
            return list(answers)
        except Exception:
            raise
        except BaseException:  # As in _send; the threads end by themselves at the timeout.
            self._clients.abandon()
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    async def single_flight(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        here, own = (os.getpid(), key), Future[T]()
        first: Future[T] = self._under_way.setdefault(here, own)
        if first is not own:
            return first.result()
        try:
            result = await work()
        except BaseException as error:
            is_failure = isinstance(error, Exception)
            own.set_exception(error if is_failure else UnavailableError(NAME, "interrupted"))
            raise
        else:
            own.set_result(result)
            return result
        finally:
            del self._under_way[here]

    async def pause(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251 - the caller is synchronous

    async def close(self) -> None:
        self._clients.close()
