"""Plugins that raise what nothing should raise, and plugins that come and go."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta, timezone
from threading import Event, Thread
from typing import Any

import pytest

from buddy.memory import plugins
from buddy.memory.errors import BackendLoadError, ConflictError
from buddy.memory.hookspecs import Operation, hookimpl
from buddy.memory.import_path import load
from buddy.memory.rows import MemoryRow
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.record import Record
from buddy.memory.v2.db.inmemory import InMemoryDb
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb

Left = list[tuple[str, type[BaseException] | None]]


class Odd(BaseException):
    """No Exception."""


class Observer:
    """Notes what it sees, and raises on the way in or out."""

    def __init__(self, name: str, left: Left, raises: tuple[str, type[BaseException]] | None):
        self.name, self.left, self.raises = name, left, raises

    @hookimpl
    def buddy_memory_operation(self, operation: Operation) -> Any:
        return self.context() if operation.name == "put" else None

    @contextmanager
    def context(self) -> Generator[None]:
        if self.raises and self.raises[0] == "in":
            raise self.raises[1]
        error: type[BaseException] | None = None
        try:
            yield
        except BaseException as caught:
            error = type(caught)
            raise
        finally:
            self.left.append((self.name, error))
            if self.raises and self.raises[0] == "out":
                raise self.raises[1]


@contextmanager
def registered(*given: object) -> Generator[None]:
    for plugin in given:
        plugins.register(plugin)
    try:
        yield
    finally:
        for plugin in given:
            plugins.unregister(plugin)


@pytest.mark.parametrize("error", [asyncio.CancelledError, GeneratorExit, SystemExit, Odd])
@pytest.mark.parametrize("way", ["in", "out"])
def test_no_error_of_an_observer_reaches_the_call_or_other_observers(
    way: str, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever an observer raises is logged; the call does its work, and the other observers leave
    once, without an error, in the opposite order."""
    left: Left = []
    caplog.set_level(logging.CRITICAL, "buddy.memory")
    observers = [Observer(name, left, (way, error) if name == "b" else None) for name in "abc"]
    with registered(*observers):
        db = StoreBackedMemoryDb(InMemoryStore())
        db.upsert_memory(MemoryRow({"n": 1}, "1", "ann"))
        assert db.count_memories() == 1
    assert [one for one in left if one[0] != "b"] == [("a", None), ("c", None)]


def test_the_error_of_a_call_is_seen_by_all(caplog: pytest.LogCaptureFixture) -> None:
    """The error of the operation itself reaches every observer, and the caller."""
    left: Left = []
    with registered(*[Observer(name, left, None) for name in "ab"]):
        db = StoreBackedMemoryDb(InMemoryStore())
        with pytest.raises(ConflictError):
            db.upsert_memory(MemoryRow({"n": 1}, "1", "ann"), if_version=3)
    assert left == [("a", ConflictError), ("b", ConflictError)]


class Marked:
    """Writes a mark into payloads, and takes it out again."""

    @hookimpl
    def buddy_memory_before_write(self, record: Record) -> Record:
        return record._replace(payload={"mark": record.payload})

    @hookimpl
    def buddy_memory_after_read(self, record: Record) -> Record:
        return record._replace(payload=record.payload["mark"])


def test_a_database_gets_all_hooks_of_a_plugin_or_none() -> None:
    """While a plugin comes and goes, no opened database has one half of it."""
    plugin, stop = Marked(), Event()

    def come_and_go() -> None:
        while not stop.is_set():
            plugins.register(plugin)
            plugins.unregister(plugin)

    thread = Thread(target=come_and_go)
    thread.start()
    try:
        for n in range(400):
            db = InMemoryDb()
            store: Any = db._rules.store
            assert len(getattr(store, "_before_write", ())) == len(
                getattr(store, "_after_read", ())
            )
            assert db.upsert_memory(MemoryRow({"n": n}, "1", "ann")).memory == {"n": n}
    finally:
        stop.set()
        thread.join()


def test_a_transform_gives_its_payload_and_nothing_else() -> None:
    """What only compares equal, a time in another zone or 1.0 for 1, is not taken over."""

    class Equal:
        @hookimpl
        def buddy_memory_before_write(self, record: Record) -> Record:
            zone = timezone(timedelta(hours=3))
            return record._replace(
                created_at=record.created_at.astimezone(zone),
                version=float(record.version),  # type: ignore[arg-type]
            )

    with registered(Equal()):
        row = InMemoryDb().upsert_memory(MemoryRow({"n": 1}, "1", "ann"))
    assert type(row.version) is int
    assert row.created_at.utcoffset() == timedelta(0)


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise SystemExit("no words")


class Faceless:
    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise Odd

    @__class__.setter
    def __class__(self, value: Any) -> None: ...


@pytest.mark.parametrize("path", ["FACELESS", "NOTHING", "raising"])
def test_a_plugin_fails_alone(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a plugin's module holds, or raises, is a BackendLoadError."""

    def raising(name: str) -> Callable[..., Any]:
        raise Unspeakable

    monkeypatch.setitem(globals(), "FACELESS", Faceless())  # pytest looks at what a module holds.
    if path == "raising":
        monkeypatch.setattr("buddy.memory.import_path.import_module", raising)
    with pytest.raises(BackendLoadError, match="acme-db"):
        load("acme", f"{__name__}:{path}", "acme-db", "v2")
