"""What an environment full of plugins does: every one is found, and none hurts another."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugin_discovery import fake_plugins
from tests.plugin_discovery.environment import Environment

LISTING = """
from buddy.memory import backends
listed = backends()
foreign = ("acme_", "buddy_memory_", "sqlalchemy", "sqlite3", "importlib.metadata", "pluggy")
tell([
    {name: [b.distribution, b.version, sorted(b.classes)] for name, b in listed.items()},
    [name for name in sys.modules if name.startswith(foreign)],
])
"""


def test_listing_names_everything_and_imports_nothing(zoo: Environment) -> None:
    """The listing has every plugin and every first-party backend, and imports none of them."""
    listed, imported = zoo.run(LISTING)
    assert imported == []
    assert listed["good"] == ["acme-good", "1.0", ["async", "v1", "v2"]]
    assert listed["driverless"] == ["acme-driverless", "1.0", ["v2"]]
    assert listed["twin"] == ["acme-twin-one, acme-twin-two", "1.0", ["v2"]]
    assert listed["edited"] == ["acme-edited", "2.0", ["v2"]]
    assert listed["sqlite"] == ["buddy-memory-sqlite", "0.1.0", ["async", "v1", "v2"]]
    assert listed["redis"][:2] == ["buddy-memory-redis", None]
    assert "former" not in listed


GOOD = """
import asyncio
from buddy.memory import open_async_memory_db, open_memory_db
from buddy.memory.row import MemoryRow as Old
from buddy.memory.v2.db.schema import MemoryRow
new, old = open_memory_db("good"), open_memory_db("good", version=1)
new.upsert_memory(MemoryRow({"likes": "tea"}, "a"))
old.upsert_memory(Old({"likes": "milk"}, id="a"))
async def main():
    db = open_async_memory_db("good")
    await db.upsert_memory(MemoryRow({"likes": "rum"}, "a"))
    return await db.read_memories()
rows = [*new.read_memories(), *old.read_memories(), *asyncio.run(main())]
others = ("acme_", "buddy_memory_", "sqlalchemy")
tell([[row.memory["likes"] for row in rows], [n for n in sys.modules if n.startswith(others)]])
"""


def test_a_good_plugin_works_and_is_imported_alone(zoo: Environment) -> None:
    """An installed plugin serves v1, v2 and async; looking it up imports no other backend."""
    assert zoo.run(GOOD) == [["tea", "milk", "rum"], ["acme_good"]]


ORDER = """
from buddy.memory import register
from buddy.memory.registry import default
from buddy.memory.v2.db.base import MemoryDb
class Mine(MemoryDb): pass
found = [default.lookup("good").__module__, error(default.lookup, "redis")[1]]
register("good", Mine)
register("redis", Mine)
tell([*found, default.lookup("good").__module__, default.lookup("redis").__module__])
"""


def test_the_order_of_lookup(zoo: Environment) -> None:
    """What code registers comes before entry points, and these before our own table."""
    by_entry_point, by_table, *in_code = zoo.run(ORDER)
    assert by_entry_point == "acme_good"
    assert "pip install buddy-memory-redis" in by_table
    assert in_code == ["__main__", "__main__"]


BROKEN = """
from buddy.memory import open_memory_db
caught = []
for name in ("driverless", "leaves", "edited"):
    try:
        open_memory_db(name)
        caught.append(name)
    except ImportError as problem:
        caught.append([str(problem), type(problem.__cause__).__name__])
with open_memory_db("sqlite") as db:
    tell([*caught, db.read_memories()])
"""


def test_a_broken_plugin_fails_alone(zoo: Environment) -> None:
    """One that lacks its driver and one that exits fail when asked for, with their distribution
    and cause; the process and the other backends go on."""
    driverless, leaves, edited, rows = zoo.run(BROKEN)
    assert "'driverless' of acme-driverless could not be loaded" in driverless[0]
    assert "a_driver_that_is_not_there" in driverless[0]
    assert driverless[1] == "ModuleNotFoundError"
    assert "'leaves' of acme-leaves could not be loaded: SystemExit: I am out" in leaves[0]
    assert leaves[1] == "SystemExit"
    assert edited == "edited"
    assert rows == []


LOOKUP = """
from buddy.memory.registry import default
try:
    tell(default.lookup({name!r}, {kind!r}).__module__)
except Exception as problem:
    tell([type(problem).__name__, str(problem)])
"""


def test_two_claims_to_a_name_are_settled_by_the_user(zoo: Environment) -> None:
    """Two installed claimants raise on use; the environment chooses one or shuts one out."""
    code = LOOKUP.format(name="twin", kind="v2")
    name, text = zoo.run(code)
    assert name == "AmbiguousBackendError"
    assert "acme-twin-one (acme_twin_one:Db) and by acme-twin-two" in text
    assert zoo.run(code, BUDDY_MEMORY_PREFER="twin=acme-twin-two") == "acme_twin_two"
    assert zoo.run(code, BUDDY_MEMORY_PREFER="other=x,TWIN = Acme_Twin.One") == "acme_twin_one"
    assert zoo.run(code, BUDDY_MEMORY_BLOCK="acme-twin-one") == "acme_twin_two"
    settled = "from buddy.memory import register\nregister('twin', 'acme_good:Db')\n"
    assert zoo.run(settled + code) == "acme_good"


def test_the_order_of_the_path_settles_nothing(bare: Environment, wheels: Path, ours: Path) -> None:
    """Two claimants are ambiguous whichever comes first on sys.path, with the same words."""
    one, two = fake_plugins.twin(wheels, "one"), fake_plugins.twin(wheels, "two")
    code = LOOKUP.format(name="twin", kind="v2")
    answers = [bare.run(code, path) for path in ([ours, one, two], [two, one, ours])]
    assert answers[0] == answers[1]
    assert answers[0][0] == "AmbiguousBackendError"


def test_a_stranger_does_not_take_a_first_party_name(
    bare: Environment, wheels: Path, ours: Path, sqlite: Path
) -> None:
    """A claim to "sqlite" beside ours is ambiguous, sync and async; it stands where ours is not
    installed; and either side can be chosen or shut out."""
    usurper = fake_plugins.usurper(wheels)
    sync, both = LOOKUP.format(name="sqlite", kind="v2"), [ours, sqlite, usurper]
    for code in (sync, LOOKUP.format(name="sqlite", kind="async")):
        name, text = bare.run(code, both)
        assert name == "AmbiguousBackendError"
        assert "acme-usurper (acme_usurper:Db) and by buddy-memory-sqlite" in text
    first, theirs = "buddy_memory_sqlite.v2", "acme_usurper"
    assert bare.run(sync, both, BUDDY_MEMORY_PREFER="sqlite=buddy-memory-sqlite") == first
    assert bare.run(sync, both, BUDDY_MEMORY_PREFER="sqlite=acme-usurper") == theirs
    assert bare.run(sync, both, BUDDY_MEMORY_BLOCK="acme-usurper") == first
    assert bare.run(sync, both, BUDDY_MEMORY_BLOCK="buddy-memory-sqlite") == theirs
    assert bare.run(sync, [ours, usurper]) == theirs


@pytest.mark.parametrize("name", ["good", "sqlite"])
def test_a_blocked_distribution_is_not_there(zoo: Environment, name: str) -> None:
    """A blocked distribution is unknown, and the error says that it is blocked."""
    owner = {"good": "acme-good", "sqlite": "buddy-memory-sqlite"}[name]
    code = LOOKUP.format(name=name, kind="v2")
    kind, text = zoo.run(code, BUDDY_MEMORY_BLOCK=f"nobody,{owner.title()}")
    assert kind == "UnknownBackendError"
    assert f"BUDDY_MEMORY_BLOCK shuts out {owner}." in text


THREADS = """
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from buddy.memory import open_memory_db
from buddy.memory import entry_points
scans, scan = [], entry_points.scan
entry_points.scan = lambda: scans.append(1) or scan()
start = Barrier(12)
def first(name):
    start.wait()
    return type(open_memory_db(name)).__name__
with ThreadPoolExecutor(12) as pool:
    tell([sorted(pool.map(first, ["sqlite", "good", "edited"] * 4)), len(scans)])
"""


def test_the_first_lookup_may_come_from_many_threads(zoo: Environment) -> None:
    """Threads that open databases at once, as the first ones of the process, scan once."""
    opened, scans = zoo.run(THREADS)
    assert opened == ["Db"] * 8 + ["SqliteMemoryDb"] * 4
    assert scans == 1
