"""What is on trial, and the uniform view through which every check sees it.

Checks are synchronous and version-free: ``Trial`` gives them a database of either version, or an
asynchronous one driven by a loop in a thread of its own, and ``Rows`` gives them memories and
summaries by the same names.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from buddy.memory.db.base import MemoryDb as MemoryDbV1
from buddy.memory.row import MemoryRow as MemoryRowV1
from buddy.memory.storage.record import Kind
from buddy.memory.testing.views import AsyncView, StoreView, capable, store_of
from buddy.memory.v2.db.base import AsyncMemoryDb
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow


@dataclass
class BackendUnderTest:
    """How to reach the backend on trial. Only ``open`` is needed; what else is missing makes the
    checks that need it "not verified".

    Each check gets a BackendUnderTest of its own on an empty store.
    """

    open: Callable[[], Any]
    """Opens the store; called again, opens the same store once more."""

    neighbour: Callable[[], Any] | None = None
    """Opens another store in the same database, whose name begins with this one's name."""

    named: Callable[[str], Any] | None = None
    """Opens a store in the same database by its name (table, collection, prefix)."""

    expiring: Callable[[], Any] | None = None
    """Opens the same store with ``expire=3600``: its rows end an hour after they were written."""

    unreachable: Callable[[], Any] | None = None
    """Opens a store whose database does not answer, with ``secret`` as its password."""

    secret: str | None = None
    """The password given to ``unreachable``."""

    corrupt: Callable[[str], None] | None = None
    """Damages the stored payload of the memory with that id, behind the backend's back."""

    order_without_clocks: bool = False
    """Whether one user's rows are in the order of writing whatever the clocks of the processes say
    that write them (R3)."""

    order_across_users: bool = False
    """Whether that holds over the rows of several users, too."""

    burst: int = 300
    """Threads, or tasks, that call one object at the same moment (R21)."""

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
            "get_many": f"read_{many}_by_id",
            "page": f"page_{many}",
            "read": f"read_{many}",
            "iter": f"iter_{many}",
            "count": f"count_{many}",
            "touch": f"touch_{many}",
            "delete": f"delete_{one}",
            "delete_many": f"delete_{many}",
        }.items():
            setattr(self, name, capable(self.db, method))

    upsert: Callable[..., Any]
    upsert_many: Callable[..., list[Any]]
    get: Callable[..., Any]
    get_many: Callable[..., list[Any]]
    page: Callable[..., Any]
    read: Callable[..., list[Any]]
    iter: Callable[..., Iterable[Any]]
    count: Callable[..., int]
    touch: Callable[..., int]
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
    """One check's dealings with a BackendUnderTest. Everything opened is closed at the end."""

    def __init__(self, subject: BackendUnderTest) -> None:
        self.subject = subject
        self._opened: list[Any] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.db = self.open()
        self.is_async = isinstance(self.db, AsyncView)
        self.version = 1 if isinstance(self.db, MemoryDbV1) else 2
        self.memories = Rows(self, Kind.MEMORY)
        self.summaries = Rows(self, Kind.SUMMARY)

    @property
    def store(self) -> StoreView:
        """The Store below the database. Raises UnsupportedError where there is none."""
        return store_of(self.db)

    def open(self, how: Callable[[], Any] | None = None) -> Any:
        """Open a database, the BackendUnderTest's own unless told how, and see it synchronously."""
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
