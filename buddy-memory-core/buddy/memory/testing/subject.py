"""What is on trial, and the uniform view through which every check sees it.

Checks are synchronous and version-free: ``Trial`` gives them a database of either version, or an
asynchronous one driven by a loop in a thread of its own, and ``Rows`` gives them memories and
summaries by the same names.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from buddy.memory.db.base import MemoryDb as MemoryDbV1
from buddy.memory.errors import UnsupportedError
from buddy.memory.row import MemoryRow as MemoryRowV1
from buddy.memory.storage.record import Kind
from buddy.memory.v2.db.base import AsyncMemoryDb
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow


@dataclass
class Subject:
    """How to reach the backend on trial. Only ``open`` is needed; what else is missing makes the
    checks that need it "not verified".

    Each check gets a Subject of its own on an empty store.
    """

    open: Callable[[], Any]
    """Opens the store; called again, opens the same store once more."""

    neighbour: Callable[[], Any] | None = None
    """Opens another store in the same database, whose name begins with this one's name."""

    named: Callable[[str], Any] | None = None
    """Opens a store in the same database by its name (table, collection, prefix)."""

    unreachable: Callable[[], Any] | None = None
    """Opens a store whose database does not answer, with ``secret`` as its password."""

    secret: str | None = None
    """The password given to ``unreachable``."""

    corrupt: Callable[[str], None] | None = None
    """Damages the stored payload of the memory with that id, behind the backend's back."""

    expiring: Callable[[int], Any] | None = None
    """Opens the same store with an expiry of that many seconds."""

    wait_expired: Callable[[], None] | None = None
    """Returns when rows written with an expiry of one second are gone."""

    waits: bool = True
    """Whether calls wait for anything; those of a store in a dictionary do not."""

    forks: bool = False
    """Whether the data are outside the process, so that a forked child can be asked to write."""


class Rows:
    """One collection, memories or summaries, under names that do not differ."""

    def __init__(self, trial: Trial, kind: Kind, db: Any = None) -> None:
        self.trial, self.kind, self.db = trial, kind, db or trial.db
        one, many = ("memory", "memories") if kind is Kind.MEMORY else ("summary", "summaries")
        for name, method in {
            "upsert": f"upsert_{one}",
            "upsert_many": f"upsert_{many}",
            "get": f"read_{one}",
            "read": f"read_{many}",
            "iter": f"iter_{many}",
            "count": f"count_{many}",
            "delete": f"delete_{one}",
            "delete_many": f"delete_{many}",
        }.items():
            setattr(self, name, _capable(self.db, method))

    upsert: Callable[..., Any]
    upsert_many: Callable[..., list[Any]]
    get: Callable[..., Any]
    read: Callable[..., list[Any]]
    iter: Callable[..., Iterable[Any]]
    count: Callable[..., int]
    delete: Callable[..., bool]
    delete_many: Callable[..., int]

    def new(self, id: str | None, payload: Any = None, user_id: Any = "ann", **times: Any) -> Any:
        """Return a row that is not stored; ``times`` may hold created_at and updated_at."""
        payload = {"text": str(id)} if payload is None else payload
        created, updated = times.get("created_at"), times.get("updated_at")
        if self.kind is Kind.SUMMARY:
            return SummaryRow(payload, id, user_id, updated, created)
        if self.trial.version == 1:
            return MemoryRowV1(payload, user_id, created, updated, id)
        return MemoryRow(payload, id, user_id, updated, created)

    def add(self, id: str, payload: Any = None, user_id: Any = "ann", **options: Any) -> Any:
        """Upsert a new row and return what is stored."""
        return self.upsert(self.new(id, payload, user_id), **options)

    def payload(self, row: Any) -> Any:
        """Return the row's payload."""
        return row.summary if self.kind is Kind.SUMMARY else row.memory

    def updated(self, row: Any) -> datetime:
        """Return the time of the row's last write."""
        time = row.updated_at if isinstance(row, MemoryRowV1) else row.last_updated
        assert isinstance(time, datetime)
        return time

    def ids(self, *args: Any, **kwargs: Any) -> list[str]:
        """Return the ids of what ``read`` returns."""
        return [row.id for row in self.read(*args, **kwargs)]


class Trial:
    """One check's dealings with a Subject. Everything opened is closed at the end."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self._opened: list[Any] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.db = self.open()
        self.is_async = isinstance(self.db, AsyncView)
        self.version = 1 if isinstance(self.db, MemoryDbV1) else 2
        self.memories = Rows(self, Kind.MEMORY)
        self.summaries = Rows(self, Kind.SUMMARY)

    def open(self, how: Callable[[], Any] | None = None) -> Any:
        """Open a database, the Subject's own unless told how, and see it synchronously."""
        return self.view((how or self.subject.open)())

    def view(self, db: Any) -> Any:
        """Return ``db``, or its synchronous view, and close it at the end."""
        if isinstance(db, AsyncMemoryDb):
            db = AsyncView(db, self._running_loop())
        self._opened.append(db)
        return db

    def rows(self, db: Any, kind: Kind = Kind.MEMORY) -> Rows:
        """Return the collection of another database of this trial."""
        return Rows(self, kind, db)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
            self._thread.start()
        return self._loop

    def close(self) -> None:
        """Close every database, and then the loop."""
        for db in self._opened:
            db.close()
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()


def _capable(db: Any, name: str) -> Callable[..., Any]:
    """Return a method of which what the contract does not demand of it is "not supported":
    ``if_version``, the ``user_id`` of a deletion, and telling whether there was a row."""
    method, parameters = getattr(db, name), _parameters(db, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        for option in {"if_version", "user_id"} & kwargs.keys():
            if option not in parameters:
                raise UnsupportedError(type(db).__name__, f"{option} of {name}")
        result = method(*args, **kwargs)
        if result is None and name == "delete_memory":
            raise UnsupportedError(type(db).__name__, "telling whether there was a row")
        return result

    return call


def _parameters(db: Any, name: str) -> Container[str]:
    db = db.async_db if isinstance(db, AsyncView) else db
    found = inspect.signature(getattr(getattr(db, "sync_db", db), name)).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in found.values())
    return {"if_version", "user_id"} if takes_any else found


class AsyncView:
    """An AsyncMemoryDb as if it were synchronous: its calls run on a loop in another thread."""

    def __init__(self, db: AsyncMemoryDb, loop: asyncio.AbstractEventLoop) -> None:
        self.async_db = db
        self._loop = loop

    def _await(self, awaitable: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(awaitable, self._loop).result()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.async_db, name)
        if name.startswith("iter_"):
            return lambda *args, **kwargs: iter(self._await(_collect(method, args, kwargs)))
        if name == "to_dict":
            return method
        return lambda *args, **kwargs: self._await(method(*args, **kwargs))

    def __repr__(self) -> str:
        return repr(self.async_db)

    def __enter__(self) -> AsyncView:
        self._await(self.async_db.__aenter__())
        return self

    def __exit__(self, *error: Any) -> None:
        self._await(self.async_db.__aexit__(*error))


async def _collect(method: Any, args: Any, kwargs: Any) -> list[Any]:
    return [row async for row in method(*args, **kwargs)]
