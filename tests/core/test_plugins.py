"""Hooks: what plugins may do, in which order, and what happens when they fail."""

from __future__ import annotations

import asyncio
import base64
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from buddy.memory import open_async_memory_db, open_memory_db, plugins
from buddy.memory.errors import ConfigError, CorruptMemoryError, InvalidMemoryError
from buddy.memory.hookspecs import Operation, hookimpl
from buddy.memory.payload import from_json, to_json
from buddy.memory.storage.hooked import HookedStore
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.record import Record
from buddy.memory.storage.store import Store
from buddy.memory.testing import CHECKS, Subject, run_checks
from buddy.memory.v2.db.base import MemoryDb
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from buddy.memory.v2.db.stored import AsyncStoredMemoryDb, StoredMemoryDb


@contextmanager
def registered(*given: object) -> Generator[None]:
    for plugin in given:
        plugins.register(plugin)
    try:
        yield
    finally:
        for plugin in given:
            plugins.unregister(plugin)


class Wraps:
    """Hides the payload in base64, under a key of its own."""

    def __init__(self, key: str = "hidden") -> None:
        self.key = key

    @hookimpl
    def buddy_memory_before_write(self, record: Record) -> Record:
        text = base64.b64encode(to_json(record.payload).encode()).decode()
        return record._replace(payload={self.key: text})

    @hookimpl
    def buddy_memory_after_read(self, record: Record) -> Record:
        return record._replace(payload=from_json(base64.b64decode(record.payload[self.key])))


class Observes:
    def __init__(self) -> None:
        self.seen: list[Any] = []

    @hookimpl
    def buddy_memory_operation(self, operation: Operation) -> Any:
        @contextmanager
        def around() -> Generator[None]:
            try:
                yield
            except BaseException as error:
                self.seen.append((operation.name, type(error).__name__))
                raise
            self.seen.append((operation.name, operation.rows))

        return around()


def test_without_plugins_a_store_is_not_wrapped() -> None:
    """Without a plugin nothing stands between the rules and the store."""
    store = InMemoryStore()
    assert plugins.active() is None
    assert StoredMemoryDb(store)._policy.store is store


def test_payloads_are_transformed_on_the_way_in_and_back(tmp_path: Path) -> None:
    """What is stored is what the plugin made; what is read and returned is what was written."""
    with registered(Wraps()), open_memory_db(f"sqlite:///{tmp_path}/a.db") as db:
        row = db.upsert_memory(MemoryRow({"secret": "tea"}, "a", "ann"))
        bulk = db.upsert_memories([MemoryRow({"secret": "milk"}, "b", "ann")])
        db.upsert_summary(SummaryRow({"s": "secret"}, "s"))
        assert row.memory == {"secret": "tea"}
        assert db.read_memory("a") == row
        assert db.read_memories("ann") == [*bulk, row]
        assert [row.memory for row in db.iter_memories()] == [{"secret": "milk"}, {"secret": "tea"}]
    connection = sqlite3.connect(tmp_path / "a.db")
    stored = connection.execute(
        "SELECT memory FROM memory UNION SELECT summary FROM memory_summaries"
    )
    assert all("secret" not in text and "hidden" in text for (text,) in stored)
    connection.close()


def test_every_rule_holds_behind_a_transform() -> None:
    """A database whose payloads are transformed keeps every rule, sync and async."""
    with registered(Wraps("outer"), Wraps("inner"), Observes()):
        for cls in (StoredMemoryDb, AsyncStoredMemoryDb):

            def subject(cls: Any = cls) -> Subject:
                store = InMemoryStore()
                return Subject(open=lambda: cls(store), waits=False)

            outcomes = run_checks(subject, CHECKS)
            assert [o for o in outcomes if o.status == "failed"] == []


def test_transforms_are_undone_in_the_opposite_order() -> None:
    """Two transforms nest: the last one to write is the first one to read."""
    with registered(Wraps("one"), Wraps("two")):
        store = InMemoryStore()
        db = StoredMemoryDb(store)
        db.upsert_memory(MemoryRow({"a": 1}, "a"))
        (stored,) = store._of(next(iter(store._records or {}))).values()
        assert list(stored.payload) in (["one"], ["two"])
        row = db.read_memory("a")
        assert row is not None
        assert row.memory == {"a": 1}


@pytest.mark.parametrize(
    "change",
    [
        lambda r: 1 / 0,
        lambda r: r._replace(id="other"),
        lambda r: r._replace(user_id="bob"),
        lambda r: r._replace(payload={"bad": {1}}),
        lambda r: "no record",
    ],
    ids=["raises", "changes the id", "changes the owner", "no JSON", "no record"],
)
def test_a_failing_transform_stores_nothing(change: Any) -> None:
    """A transform that fails, or changes more than the payload, fails the call before it stores."""

    class Bad:
        @hookimpl
        def buddy_memory_before_write(self, record: Record) -> Any:
            return change(record) if record.id == "bad" else None

    with registered(Bad()):
        db = StoredMemoryDb(InMemoryStore())
        with pytest.raises(InvalidMemoryError, match="plugin"):
            db.upsert_memory(MemoryRow({}, "bad"))
        with pytest.raises(InvalidMemoryError, match="plugin"):
            db.upsert_memories([MemoryRow({}, "good"), MemoryRow({}, "bad")])
        assert db.read_memories() == []
        assert db.upsert_memory(MemoryRow({}, "good")).version == 1


def test_a_row_that_no_transform_can_read_is_corrupt(caplog: pytest.LogCaptureFixture) -> None:
    """A transform that fails after a read makes that row unreadable, and no other."""
    store = InMemoryStore()
    StoredMemoryDb(store).upsert_memory(MemoryRow({"plain": 1}, "old"))
    with registered(Wraps()):
        db = StoredMemoryDb(store)
        db.upsert_memory(MemoryRow({"new": 1}, "new"))
        with pytest.raises(CorruptMemoryError, match="cannot read it: KeyError"):
            db.read_memory("old")
        assert [row.id for row in db.read_memories()] == ["new"]
    assert "'old'" in caplog.text


def test_operations_are_observed_with_their_errors() -> None:
    """An observer sees every operation with its rows, and its error when it fails."""
    observer = Observes()
    with registered(observer):
        db = StoredMemoryDb(InMemoryStore())
        db.upsert_memories([MemoryRow({}, "a", "ann"), MemoryRow({}, "b", "ann")])
        db.read_memories("ann")
        db.delete_user("ann")
        with pytest.raises(Exception, match="version"):
            db.upsert_memory(MemoryRow({}, "a"), if_version=3)
        asyncio.run(AsyncStoredMemoryDb(InMemoryStore()).count_memories())
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


def test_what_a_write_returns_is_what_readers_see() -> None:
    """After a transform without a way back, the returned row is the one that a read shows."""

    class Redacts:
        @hookimpl
        def buddy_memory_before_write(self, record: Record) -> Record:
            return record._replace(payload={**record.payload, "phone": "…"})

    with registered(Redacts()):
        db = StoredMemoryDb(InMemoryStore())
        row = db.upsert_memory(MemoryRow({"name": "Ann", "phone": "555"}, "a"))
        bulk = db.upsert_memories([MemoryRow({"phone": "777"}, "b")])
        assert row.memory == {"name": "Ann", "phone": "…"}
        assert db.read_memories() == [*bulk, row]


def test_a_write_that_could_not_be_read_again_stores_nothing() -> None:
    """Where the transforms cannot undo each other, the write fails before it stores."""
    with registered(Wraps()):
        db = StoredMemoryDb(InMemoryStore())

        class Destroys:
            @hookimpl(trylast=True)
            def buddy_memory_before_write(self, record: Record) -> Record:
                return record._replace(payload={})

        with registered(Destroys()):
            broken = StoredMemoryDb(db._policy.store.inner)  # type: ignore[attr-defined]
            with pytest.raises(InvalidMemoryError, match=r"unreadable.*KeyError"):
                broken.upsert_memory(MemoryRow({}, "a"))
            with pytest.raises(InvalidMemoryError, match=r"unreadable.*KeyError"):
                broken.upsert_memories([MemoryRow({}, "a")])
        assert db.count_memories() == 0


def test_a_transform_changes_nothing_in_place() -> None:
    """What a transform does to the payload it was given goes nowhere."""

    class InPlace:
        @hookimpl
        def buddy_memory_before_write(self, record: Record) -> None:
            record.payload["bad"] = {1}

        @hookimpl
        def buddy_memory_after_read(self, record: Record) -> None:
            record.payload.clear()

    with registered(InPlace()):
        db = StoredMemoryDb(InMemoryStore())
        assert db.upsert_memory(MemoryRow({"a": 1}, "a")).memory == {"a": 1}
        assert [row.memory for row in db.read_memories()] == [{"a": 1}]


def test_an_operation_on_several_rows_names_them() -> None:
    """An observer learns the ids and owners of a bulk write, the ids of a bulk delete, and the
    ids that a page showed."""
    seen: list[Operation] = []

    class Sees:
        @hookimpl
        def buddy_memory_operation(self, operation: Operation) -> None:
            seen.append(operation)

    with registered(Sees()):
        db = StoredMemoryDb(InMemoryStore())
        db.upsert_memories([MemoryRow({}, "a", "ann"), MemoryRow({}, "b"), MemoryRow({}, "c")])
        db.read_memories(limit=2)
        db.delete_memories(["c", "a"])
    put, page, delete = seen
    assert (put.ids, put.user_ids) == (["a", "b", "c"], ["ann", None])
    assert page.ids == ["c", "b"]
    assert delete.ids == ["c", "a"]


class Eight(MemoryDb):
    """A backend that implements the abstract methods itself."""

    def create(self) -> None: ...
    def table_exists(self) -> bool:
        return True

    def drop_table(self) -> None: ...
    def clear(self) -> bool:
        return True

    def memory_exists(self, memory: MemoryRow) -> bool:
        return False

    def read_memories(
        self, user_id: str | None = None, limit: int | None = None, sort: str | None = None
    ) -> list[MemoryRow]:
        return []

    def upsert_memory(self, memory: MemoryRow, *, if_version: int | None = None) -> MemoryRow:
        return memory

    def delete_memory(
        self, memory_id: str, *, user_id: str | None = None, if_version: int | None = None
    ) -> bool:
        return False


def test_a_database_that_transforms_do_not_reach_is_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A backend without a Store is not opened beside a plugin that transforms payloads; beside an
    observer it is, with a warning."""
    for opened in (open_memory_db, open_async_memory_db):
        with registered(Wraps()), pytest.raises(ConfigError, match=r"Eight has no Store.*Wraps"):
            opened(f"{__name__}:Eight")
        with registered(Observes()):
            opened(f"{__name__}:Eight")
        assert "no plugin observes the operations of Eight" in caplog.text
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
    public = {name for name in vars(Store) if not name.startswith("_")}
    assert public <= set(vars(HookedStore))


INSTALLED = """
import sys
sys.path.insert(0, sys.argv[1])
from buddy.memory import open_memory_db
from buddy.memory.errors import BackendLoadError
try:
    print(type(open_memory_db("sqlite")._policy.store).__name__)
except BackendLoadError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("source", "environment", "says"),
    [
        ("", {}, "HookedStore"),
        ("raise SystemExit", {}, "The plugin 'audit' of acme-audit could not be loaded: Sys"),
        ("raise SystemExit", {}, "BUDDY_MEMORY_BLOCK=acme-audit opens without it"),
        ("raise SystemExit", {"BUDDY_MEMORY_BLOCK": "acme-audit"}, "SqliteStore"),
    ],
)
def test_installed_plugins_are_found(
    tmp_path: Path, source: str, environment: dict[str, str], says: str
) -> None:
    """A plugin is found by its entry point; one that cannot be loaded fails the opening, unless it
    is blocked."""
    info = tmp_path / "acme_audit-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-audit\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[buddy.memory.plugins]\naudit = acme_audit\n")
    (tmp_path / "acme_audit.py").write_text(source)
    command = [sys.executable, "-c", INSTALLED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert says in done.stdout
