"""Plugins: how they are registered, and what observers may do."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path
from typing import Any

import pytest

from buddy.memory import open_async_memory_db, open_memory_db, plugins
from buddy.memory.errors import ConfigError, InvalidMemoryError
from buddy.memory.hookspecs import hookimpl
from buddy.memory.storage.hooked_store import HookedStore
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.store import Store
from buddy.memory.v2.db.schema import MemoryRow
from buddy.memory.v2.db.store_backed import AsyncStoreBackedMemoryDb, StoreBackedMemoryDb
from tests.core.eight_methods import EightMethodMemoryDb
from tests.core.sample_plugins import Observes, Wraps, registered

EIGHT = f"{EightMethodMemoryDb.__module__}:EightMethodMemoryDb"


def test_without_plugins_a_store_is_not_wrapped() -> None:
    """Without a plugin nothing stands between the rules and the store."""
    store = InMemoryStore()
    assert plugins.active() is None
    assert StoreBackedMemoryDb(store)._rules.store is store


def test_operations_are_observed_with_their_errors() -> None:
    """An observer sees every operation with its rows, and its error when it fails."""
    observer = Observes()
    with registered(observer):
        db = StoreBackedMemoryDb(InMemoryStore())
        db.upsert_memories([MemoryRow({}, "a", "ann"), MemoryRow({}, "b", "ann")])
        db.read_memories("ann")
        db.delete_user("ann")
        with pytest.raises(Exception, match="version"):
            db.upsert_memory(MemoryRow({}, "a"), if_version=3)
        asyncio.run(AsyncStoreBackedMemoryDb(InMemoryStore()).count_memories())
    assert observer.seen == [
        ("put_many", 2),
        ("page", 2),
        ("delete_all", 2),
        ("delete_all", 0),
        ("put", "ConflictError"),
        ("count", None),
    ]


@pytest.mark.parametrize("where", ["call", "enter", "exit"])
def test_a_failing_observer_never_fails_the_call(
    where: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An observer that fails is logged, and the operation goes on."""

    class Context:
        def __enter__(self) -> None:
            assert where != "enter"

        def __exit__(self, *error: object) -> bool:
            assert where != "exit"
            return True  # Tries to swallow what went wrong.

    class Bad:
        @hookimpl
        def buddy_memory_operation(self) -> Any:
            assert where != "call"
            return Context()

        @hookimpl
        def buddy_memory_opened(self, db: Any) -> None:
            raise RuntimeError("opened")

    with registered(Bad()):
        db = open_memory_db("sqlite")
        assert db.upsert_memory(MemoryRow({}, "a")).version == 1
        with pytest.raises(InvalidMemoryError):
            db.read_memory("")
        with pytest.raises(Exception, match="version"):
            db.delete_memory("a", if_version=7)  # type: ignore[call-arg]
        db.close()
    assert "failed while observing" in caplog.text
    assert "failed in buddy_memory_opened" in caplog.text


def test_a_database_that_transforms_do_not_reach_is_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A backend without a Store is not opened beside a plugin that transforms payloads; beside an
    observer it is, with a warning."""
    for opened in (open_memory_db, open_async_memory_db):
        with registered(Wraps()), pytest.raises(ConfigError, match=r"MemoryDb has no Store.*Wraps"):
            opened(EIGHT, table_name="t")
        with registered(Observes()):
            opened(EIGHT, table_name="t")
        assert "no plugin observes the operations of EightMethodMemoryDb" in caplog.text
        caplog.clear()

    async def read() -> list[MemoryRow]:
        async with open_async_memory_db("sqlite") as db:
            return await db.read_memories()

    with registered(Wraps()):
        assert asyncio.run(read()) == []


def test_a_plugin_is_registered_once() -> None:
    """Registering a plugin again is refused and leaves the first registration; so is taking out
    one that is not there."""
    observer = Observes()
    with registered(observer):
        with pytest.raises(ConfigError, match="registered already"):
            plugins.register(observer, "again")
        assert plugins.active() is not None
    with pytest.raises(ConfigError, match="not registered"):
        plugins.unregister(observer)


def test_a_config_string_is_rewritten_before_it_is_opened(tmp_path: Path) -> None:
    """A plugin can turn a config string into another one, and is told of what was opened."""

    class Vault:
        opened: Any = None

        @hookimpl
        def buddy_memory_config(self, config: str) -> str | None:
            if config == "vault://broken":
                raise KeyError("token")
            return f"sqlite:///{tmp_path}/a.db" if config.startswith("vault://") else None

        @hookimpl
        def buddy_memory_opened(self, db: Any) -> None:
            self.opened = db

    vault = Vault()
    with registered(vault):
        for config in ("vault://memory", {"url": "vault://memory"}):
            db = open_memory_db(config)
            assert vault.opened is db
            db.close()
        with pytest.raises(ConfigError, match="failed on the config string: KeyError"):
            open_memory_db("vault://broken")
    assert (tmp_path / "a.db").exists() is False


def test_a_wrong_hook_is_refused() -> None:
    """A hook that does not exist, or asks for what it is not given, is a ConfigError by name."""

    class Unknown:
        @hookimpl
        def buddy_memory_no_such_hook(self) -> None: ...

    class Argument:
        @hookimpl
        def buddy_memory_opened(self, database: Any) -> None: ...

    for plugin in (Unknown(), Argument()):
        with pytest.raises(ConfigError, match="this is no plugin"):
            plugins.register(plugin)
    assert plugins.active() is None


def test_every_call_of_a_store_passes_the_hooks() -> None:
    """HookedStore covers every public method of Store, so that none goes past the transforms."""
    public = {name for name, _ in inspect.getmembers(Store, inspect.isfunction) if name[0] != "_"}
    assert public <= set(vars(HookedStore))
