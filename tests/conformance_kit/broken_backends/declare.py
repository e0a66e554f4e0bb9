"""How a deliberately broken backend is declared: with the check that catches it."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from buddy.memory.errors import UnavailableError
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.record import Corrupt, Key, Kind, Record, Write
from buddy.memory.testing import BackendUnderTest
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
from buddy.memory.v2.db.threaded import ThreadedMemoryDb

Make = Callable[[Path], BackendUnderTest]
"""Returns a BackendUnderTest on an empty store; it may keep files in a folder."""

BROKEN: dict[tuple[str, str], Make] = {}
"""Subjects by the name of what is broken, and by the id of the check that has to fail on it."""

StoreT = TypeVar("StoreT", bound=type[InMemoryStore])
DbT = TypeVar("DbT", bound=type[StoreBackedMemoryDb])


def on_store(check: str, **subject: Any) -> Callable[[StoreT], StoreT]:
    """Declare a broken Store; every object that the BackendUnderTest opens shares one instance."""

    def declare(cls: StoreT) -> StoreT:
        def make(_: Path) -> BackendUnderTest:
            store = cls()
            return BackendUnderTest(
                open=lambda: StoreBackedMemoryDb(store), **{"waits": False, **subject}
            )

        BROKEN[cls.__name__, check] = make
        return cls

    return declare


def on_db(check: str, **subject: Any) -> Callable[[DbT], DbT]:
    """Declare a broken class above a sound Store."""

    def declare(cls: DbT) -> DbT:
        def make(_: Path) -> BackendUnderTest:
            store = InMemoryStore()
            return BackendUnderTest(open=lambda: cls(store), **{"waits": False, **subject})

        BROKEN[cls.__name__, check] = make
        return cls

    return declare


def asynchronous(check: str, cls: type[ThreadedMemoryDb]) -> None:
    """Declare a broken asynchronous class."""

    def make(_: Path) -> BackendUnderTest:
        store = InMemoryStore()
        return BackendUnderTest(open=lambda: cls(StoreBackedMemoryDb(store)))

    BROKEN[cls.__name__, check] = make


class Down(InMemoryStore):
    """A store whose database does not answer."""

    def _of(self, kind: Kind) -> dict[Key, Record]:
        raise UnavailableError("broken", "down")

    async def create(self) -> None:
        raise UnavailableError("broken", "down")

    exists = drop = ping = upgrade = create  # type: ignore[assignment]


def unreachable(check: str, cls: type[StoreBackedMemoryDb]) -> None:
    """Declare a class that is broken when its database does not answer."""

    def make(_: Path) -> BackendUnderTest:
        store = InMemoryStore()
        return BackendUnderTest(
            open=lambda: StoreBackedMemoryDb(store),
            unreachable=lambda: cls(Down()),
            secret="hunter2",  # noqa: S106
        )

    BROKEN[cls.__name__, check] = make


class Damaged(InMemoryStore):
    """A store with rows that cannot be decoded: what ``damaged`` names, until it is written."""

    def __init__(self) -> None:
        super().__init__()
        self.damaged: set[str] = set()

    def decoded(self, row: Any) -> Any:
        if row is None or row.id not in self.damaged:
            return row
        return Corrupt(row.user_id, row.id, row.position, "torn")

    async def put(self, write: Write) -> Record:
        self.damaged.discard(write.record.id)
        return await super().put(write)

    async def get(self, kind: Kind, user_id: Any, id: str) -> Any:
        return self.decoded(await super().get(kind, user_id, id))

    async def find(self, kind: Kind, ids: Any) -> Any:
        return [self.decoded(row) for row in await super().find(kind, ids)]

    async def page(self, kind: Kind, scope: Any, **options: Any) -> Any:
        return [self.decoded(row) for row in await super().page(kind, scope, **options)]


def damaged(check: str) -> Callable[[type[Damaged]], type[Damaged]]:
    """Declare a Store that is broken where rows are damaged."""

    def declare(cls: type[Damaged]) -> type[Damaged]:
        def make(_: Path) -> BackendUnderTest:
            store = cls()
            return BackendUnderTest(
                open=lambda: StoreBackedMemoryDb(store), corrupt=store.damaged.add, waits=False
            )

        BROKEN[cls.__name__, check] = make
        return cls

    return declare


def rewritten(write: Write, **fields: Any) -> Write:
    return write._replace(record=write.record._replace(**fields))


def pause() -> None:
    """Wait as long as a second round trip takes."""
    time.sleep(0.002)


def load() -> dict[tuple[str, str], Make]:
    """Return the broken backends of all modules here."""
    for path in sorted(Path(__file__).parent.glob("*.py")):
        import_module(f"tests.conformance_kit.broken_backends.{path.stem}")
    return BROKEN
