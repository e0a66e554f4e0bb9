"""Plugins as pip installs them: the three examples, and strangers that get in each other's way."""

from __future__ import annotations

import json
import sqlite3
from base64 import urlsafe_b64encode
from contextlib import closing
from pathlib import Path

import pytest

from tests.plugin_discovery.environment import CORE_NEEDS, SQL_NEEDS, Environment
from tests.plugin_discovery.wheels import ROOT, built, wheel

KEYS = f"k1:{urlsafe_b64encode(bytes(range(32))).decode()}"


@pytest.fixture(scope="module")
def examples(
    tmp_path_factory: pytest.TempPathFactory, wheels: Path, core: Path, sqlite: Path
) -> Environment:
    """The three example plugins, installed together beside core and SQLite."""
    plugins = [
        built(ROOT / "plugins" / f"buddy-memory-{name}", wheels)
        for name in ("audit", "encryption", "opentelemetry")
    ]
    needs = [*CORE_NEEDS, *SQL_NEEDS, "cryptography", "cffi", "opentelemetry-api"]
    needs += ["opentelemetry-sdk", "opentelemetry-semantic-conventions"]
    folder = tmp_path_factory.mktemp("examples") / "venv"
    return Environment(folder, [core, sqlite, *plugins], needs)


ALL_THREE = """
import asyncio
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from buddy.memory import open_async_memory_db, open_memory_db
from buddy.memory.v2.db.schema import MemoryRow
with open_memory_db("sqlite:///a.db") as db:
    db.upsert_memory(MemoryRow({"secret": "tea"}, "a", "ann"))
exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
async def main():
    async with open_async_memory_db("sqlite:///a.db") as db:
        return await db.read_memories()
(row,) = asyncio.run(main())
tell([row.memory, [span.name for span in exporter.get_finished_spans()]])
"""


def test_installed_plugins_work_together(examples: Environment, tmp_path: Path) -> None:
    """Installed by pip and named by nobody, the three examples serve sync and async at once; a
    provider of telemetry that is set later is used, too."""
    variables = {
        "BUDDY_MEMORY_ENCRYPTION_KEYS": KEYS,
        "BUDDY_MEMORY_AUDIT_FILE": "audit.jsonl",
        "BUDDY_MEMORY_AUDIT_READS": "1",
    }
    memory, spans = examples.run(ALL_THREE, cwd=tmp_path, **variables)
    assert memory == {"secret": "tea"}
    assert spans == ["page memory", "close sqlite"]
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        (stored,) = connection.execute("SELECT memory FROM memory").fetchone()
    assert "sealed" in json.loads(stored)
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [line["operation"] for line in lines] == ["put", "close", "page", "close"]


OPEN = """
from buddy.memory import open_memory_db
try:
    with open_memory_db("sqlite") as db:
        tell(type(db._rules.store).__name__)
except Exception as problem:
    tell([type(problem).__name__, str(problem)])
"""


def test_a_plugin_that_cannot_load_fails_every_opening(examples: Environment) -> None:
    """Without its keys the encryption plugin fails the opening, says so, and can be shut out."""
    kind, text = examples.run(OPEN, BUDDY_MEMORY_AUDIT_FILE="audit.jsonl")
    assert kind == "BackendLoadError"
    assert "'encryption' of buddy-memory-encryption could not be loaded" in text
    assert "BUDDY_MEMORY_ENCRYPTION_KEYS is not set" in text
    assert "BUDDY_MEMORY_BLOCK=buddy-memory-encryption opens without it" in text
    names = ("audit", "encryption", "opentelemetry")
    blocked = ",".join(f"buddy-memory-{name}" for name in names)
    assert examples.run(OPEN, BUDDY_MEMORY_BLOCK=blocked) == "SqliteStore"


MARKER = """
from buddy.memory.hookspecs import hookimpl
@hookimpl
def buddy_memory_before_write(record):
    return record._replace(payload={{**record.payload, "path": record.payload["path"] + {0!r}}})
@hookimpl
def buddy_memory_after_read(record):
    return record._replace(payload={{**record.payload, "path": record.payload["path"] + {1!r}}})
"""


def marker(folder: Path, distribution: str, entry: str, mark: str) -> Path:
    """A plugin that adds its mark to what is written, and in lower case to what is read."""
    module = distribution.replace("-", "_")
    entries = f"[buddy.memory.plugins]\n{entry} = {module}\n"
    return wheel(folder, distribution, entries, {module: MARKER.format(mark, mark.lower())})


ORDERED = """
from types import ModuleType
from buddy.memory import open_memory_db, plugins
from buddy.memory.hookspecs import hookimpl
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.v2.db.schema import MemoryRow
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
def plugin(mark):
    module = ModuleType(mark)
    exec({marker!r}.replace("MARK", mark).replace("mark", mark.lower()), vars(module))
    return module
if {late}:
    StoreBackedMemoryDb(InMemoryStore())
plugins.register(plugin("X"))
plugins.register(plugin("Y"))
db = StoreBackedMemoryDb(InMemoryStore())
tell(db.upsert_memory(MemoryRow({{"path": ""}}, "a")).memory["path"])
"""


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_the_order_of_hooks_is_that_of_names(
    bare: Environment, wheels: Path, ours: Path, late: bool
) -> None:
    """Writes pass what code registered, the latest first, then installed plugins by name and
    distribution, whatever the order of the path or of loading; reads pass them the other way."""
    installed = [
        marker(wheels, "acme-first", "zebra", "C"),
        marker(wheels, "acme-second", "ape", "A"),
        marker(wheels, "acme-third", "bear", "B"),
        marker(wheels, "acme-fourth", "zebra", "D"),
    ]
    code = ORDERED.format(marker=MARKER.format("MARK", "mark"), late=late)
    for path in ([ours, *installed], [*reversed(installed), ours]):
        assert bare.run(code, path) == "YXABCD" + "dcbaxy"


RELOADED = """
from zipfile import ZipFile
from buddy.memory import plugins, refresh
told = [plugins.active() is None]
ZipFile({wheel!r}).extractall({folder!r})
told.append(plugins.active() is None)
refresh()
told.append(plugins.active().list_name_plugin()[0][0])
os.environ["BUDDY_MEMORY_BLOCK"] = "acme-late"
tell([*told, plugins.active() is None])
"""


def test_refresh_finds_plugins_too(
    bare: Environment, tmp_path: Path, wheels: Path, ours: Path
) -> None:
    """A plugin that was installed meanwhile is there after refresh(), and gone when blocked."""
    late = marker(wheels, "acme-late", "late", "L")
    code = RELOADED.format(wheel=str(late), folder=str(tmp_path))
    assert bare.run(code, [ours, tmp_path]) == [True, True, "late of acme-late", True]


REENTERED = """
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
start = Barrier(4)
def first(_):
    start.wait()
    return type(StoreBackedMemoryDb(InMemoryStore())._rules.store).__name__
with ThreadPoolExecutor(4) as pool:
    tell(list(pool.map(first, range(4))))
"""


def test_plugins_load_once_for_many_threads(bare: Environment, wheels: Path, ours: Path) -> None:
    """Threads that open databases at once, as the first ones, all get the installed plugin."""
    slow = marker(wheels, "acme-slow", "slow", "S")
    assert bare.run(REENTERED, [ours, slow]) == ["HookedStore"] * 4
