"""The registry: lookup, laziness, and plugins that misbehave."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from buddy.memory import open_async_memory_db, open_memory_db
from buddy.memory.db.base import MemoryDb as MemoryDbV1
from buddy.memory.db.store_backed import StoreBackedMemoryDb as StoredMemoryDbV1
from buddy.memory.entry_points import Claim, scan
from buddy.memory.errors import (
    AmbiguousBackendError,
    BackendLoadError,
    ConfigError,
    UnknownBackendError,
)
from buddy.memory.known_backends import FIRST_PARTY, FirstParty
from buddy.memory.registry import Registry
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.v2.db.base import AsyncMemoryDb, MemoryDb
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
from buddy.memory.v2.db.threaded import ThreadedMemoryDb


class Registered(StoreBackedMemoryDb):
    def __init__(self, size: int = 1) -> None:
        super().__init__(InMemoryStore(), {"size": size})
        self.size = size


def plugin(folder: Path, distribution: str, entries: str, **modules: str) -> None:
    """Lay out an installed distribution."""
    info = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entries)
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(source)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on sys.path for plugins."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("BUDDY_MEMORY_PREFER", raising=False)
    monkeypatch.delenv("BUDDY_MEMORY_BLOCK", raising=False)
    return tmp_path


GOOD = """
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
class Db(StoreBackedMemoryDb):
    def __init__(self):
        super().__init__(InMemoryStore())
"""


def test_open_by_url_name_class_and_mapping(tmp_path: Path) -> None:
    """A URL, a name, a class path and a mapping open the backend, in the asked version."""
    url = f"sqlite:///{tmp_path}/a.db"
    for config in (url, {"url": url}, "sqlite", "buddy_memory_sqlite.v2:SqliteMemoryDb"):
        with open_memory_db(config) as db:
            assert isinstance(db, MemoryDb)
        assert isinstance(open_async_memory_db(config), AsyncMemoryDb)
    with open_memory_db(f"{url}?table_name=t", version=1) as old:
        assert isinstance(old, MemoryDbV1)
        assert old.to_dict()["table_name"] == "t"


def test_a_scheme_with_a_driver_is_looked_up_whole_and_then_by_its_first_part(
    tmp_path: Path,
) -> None:
    """sqlite+pysqlite is looked up whole, then as sqlite."""
    with open_memory_db(f"sqlite+pysqlite:///{tmp_path}/a.db") as db:
        assert db.read_memories() == []


@pytest.mark.parametrize("version", [0, 3, "2", None])
def test_a_version_is_one_or_two(version: Any) -> None:
    """Any other version of the API is a ConfigError."""
    with pytest.raises(ConfigError, match="version must be 1 or 2"):
        open_memory_db("sqlite", version=version)


def test_an_unknown_name_says_what_is_near_and_known() -> None:
    """An unknown name names the nearest and the known ones; it is a LookupError too."""
    with pytest.raises(UnknownBackendError, match=r"Did you mean 'sqlite'\?.*Known: .*sqlite") as e:
        open_memory_db("sqlit:///a.db")
    assert isinstance(e.value, LookupError)
    assert isinstance(e.value, ValueError)


def test_a_backend_that_is_not_installed_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error of a backend of ours is what to install, and no list of others."""
    classes = {"v2": "buddy_memory_far.v2:FarMemoryDb"}
    monkeypatch.setitem(FIRST_PARTY, "far", FirstParty("buddy-memory-far", classes))
    with pytest.raises(UnknownBackendError) as caught:
        open_memory_db("far://host")
    assert str(caught.value) == (
        "No backend is called 'far'. Install it: pip install buddy-memory-far."
    )


def test_a_missing_version_is_said() -> None:
    """A backend without v1 says which versions it has."""
    with pytest.raises(UnknownBackendError, match="v2 and async"):
        open_memory_db("redis://localhost", version=1)


def test_register_wins_and_serves_async_by_threads() -> None:
    """A registered class wins; without an asynchronous class it is run in threads."""
    registry = Registry()
    registry.register("mine", Registered)
    assert registry.lookup("mine") is Registered
    assert registry.lookup("mine+driver") is Registered
    import buddy.memory

    buddy.memory.register("mine", f"{__name__}:Registered")
    adb = open_async_memory_db("mine", size="7")
    assert isinstance(adb, ThreadedMemoryDb)
    assert adb.sync_db.size == 7  # type: ignore[attr-defined]


def test_an_entry_point_makes_a_backend_known(site: Path) -> None:
    """A plugin is found by its entry point and listed without being imported."""
    plugin(site, "acme-memory", "[buddy.memory.v2.db]\nacme = acme_good:Db\n", acme_good=GOOD)
    registry = Registry()
    listed = registry.backends()["acme"]
    assert (listed.distribution, listed.version) == ("acme-memory", "1.0")
    assert "acme_good" not in sys.modules
    assert registry.lookup("acme").__module__ == "acme_good"
    assert registry.lookup("ACME".lower()) is registry.lookup("acme")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import not_there_at_all", "not_there_at_all"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("class E(Exception):\n    __str__ = None\nraise E", "loaded: E"),
        ("raise RuntimeError('boom')", "RuntimeError: boom"),
        ("1/0", "ZeroDivisionError"),
        ("x = (", "SyntaxError"),
        ("Other = 1", "has no attribute 'Db'"),
        ("Db = object", "no subclass of buddy.memory.v2.db.base.MemoryDb"),
    ],
)
def test_a_broken_plugin_fails_alone(
    site: Path, source: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plugin that raises anything fails alone, when asked for, named with its distribution."""
    plugin(site, "bad-memory", "[buddy.memory.v2.db]\nbad = bad_plugin:Db\n", bad_plugin=source)
    monkeypatch.delitem(sys.modules, "bad_plugin", raising=False)
    registry = Registry()
    assert "bad" in registry.backends()
    assert registry.lookup("sqlite")
    with pytest.raises(BackendLoadError, match=says) as caught:
        registry.lookup("bad")
    assert "bad-memory" in str(caught.value)
    assert isinstance(caught.value, ImportError)


def test_two_claims_on_one_name_are_ambiguous(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two distributions with one name raise on use, until the user settles it."""
    for n in ("one", "two"):
        entries = f"[buddy.memory.v2.db]\nboth = acme_{n}:Db\n"
        plugin(site, f"acme-{n}", entries, **{f"acme_{n}": GOOD})
    registry = Registry()
    with pytest.raises(AmbiguousBackendError, match=r"acme-one .* and by acme-two"):
        registry.lookup("both")
    monkeypatch.setenv("BUDDY_MEMORY_PREFER", "x=y, both=acme-two")
    assert registry.lookup("both").__module__ == "acme_two"
    monkeypatch.delenv("BUDDY_MEMORY_PREFER")
    monkeypatch.setenv("BUDDY_MEMORY_BLOCK", "acme-two")
    assert registry.lookup("both").__module__ == "acme_one"
    monkeypatch.delenv("BUDDY_MEMORY_BLOCK")
    registry.register("both", Registered)
    assert registry.lookup("both") is Registered


def test_a_name_has_one_owner_for_sync_and_async(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who claims only the synchronous class of a first-party name gets none of the other half: the
    name is ambiguous for both, and the preferred distribution runs in threads."""
    plugin(site, "acme-sqlite", "[buddy.memory.v2.db]\nsqlite = acme_s:Db\n", acme_s=GOOD)
    registry = Registry()
    for kind in ("v2", "async"):
        with pytest.raises(AmbiguousBackendError, match="acme-sqlite"):
            registry.lookup("sqlite", kind)
    assert registry.lookup("sqlite", "v1").__module__ == "buddy_memory_sqlite.v1"
    monkeypatch.setenv("BUDDY_MEMORY_PREFER", "SQLite = Acme_SQLite")
    assert registry.lookup("sqlite").__module__ == "acme_s"
    with pytest.raises(BackendLoadError, match=r"acme-sqlite.*synchronous"):
        registry.lookup("sqlite", "async")
    monkeypatch.setenv("BUDDY_MEMORY_PREFER", "sqlite=buddy-memory-sqlite")
    registry.register("sqlite", Registered)
    with pytest.raises(BackendLoadError, match="synchronous class is registered"):
        registry.lookup("sqlite", "async")


def test_a_stranger_does_not_take_a_first_party_name_for_want_of_metadata(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim to a first-party name is ambiguous also where ours has no metadata to claim it by;
    where ours is not installed at all, the claim stands."""
    claims = [
        Claim("v2", "sqlite", "acme_db:Db", "acme", "1"),
        Claim("v2", "redis", "acme_db:Db", "acme", "1"),
    ]
    (site / "acme_db.py").write_text(GOOD)
    monkeypatch.setattr("buddy.memory.entry_points.scan", lambda: claims)
    with pytest.raises(AmbiguousBackendError, match=r"acme .* buddy-memory-sqlite"):
        Registry().lookup("sqlite")
    monkeypatch.setattr("buddy.memory.registry.find_spec", lambda name: None)
    assert Registry().lookup("redis").__module__ == "acme_db"
    monkeypatch.setenv("BUDDY_MEMORY_BLOCK", "ACME, Buddy.Memory_SQLite")
    with pytest.raises(UnknownBackendError, match="shuts out acme, buddy-memory-sqlite"):
        Registry().lookup("sqlite")


def test_a_distribution_that_is_there_twice_counts_once(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two copies of a distribution the first on the path counts."""
    entries = "[buddy.memory.v2.db]\n{} = gone_{}:Db\n"
    first, second = site / "first", site / "second"
    plugin(first, "acme-memory", entries.format("acme", 2))
    plugin(second, "acme-memory", entries.format("acme", 1))
    monkeypatch.syspath_prepend(str(second))
    monkeypatch.syspath_prepend(str(first))
    listed = Registry().backends()
    assert listed["acme"].classes == {"v2": "gone_2:Db"}


def test_an_entry_point_is_read_as_the_specification_says(site: Path) -> None:
    """Blanks, comments, extras and upper case are understood."""
    text = """# ours
[ buddy.memory.v2.db ]
  ACME  =  acme_case : Db  [extra]
# a comment
[console_scripts]
other = x:y
"""
    plugin(site, "acme-case", text, acme_case=GOOD)
    registry = Registry()
    assert registry.lookup("Acme").__module__ == "acme_case"
    assert [c.name for c in registry.claims() if c.distribution == "acme-case"] == ["acme"]


def test_one_distribution_may_not_claim_a_name_twice(site: Path) -> None:
    """Two classes for one name are ambiguous also when one distribution claims both; a file of
    entry points may be of any length."""
    padding = "".join(f"# line {n}\n" for n in range(9000))
    plugin(site, "acme-both", f"{padding}[buddy.memory.v2.db]\nboth = a:X\nboth = b:Y\n")
    with pytest.raises(AmbiguousBackendError, match=r"acme-both \(a:X\) and by acme-both \(b:Y\)"):
        Registry().lookup("both")


def test_any_entry_of_the_path_is_survived(
    site: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No object on sys.path, file, folder or archive that is none stops a scan."""
    rubbish = tmp_path_factory.mktemp("rubbish")
    (rubbish / "old-1.0.egg-info").write_text("a file, as distutils wrote it")
    (rubbish / "odd-1.0.dist-info" / "entry_points.txt").mkdir(parents=True)
    (rubbish / "app.zip").write_bytes(b"no zip")
    odd: list[Any] = [rubbish, b"bytes", None, 7, [], "nul\0", "", "/not/there"]
    odd += [str(rubbish), str(rubbish / "app.zip"), str(rubbish / "app.zip" / "inner")]
    import_module("buddy_memory_sqlite.v2")  # Python's own imports do not survive all of it.
    monkeypatch.setattr(sys, "path", [*odd, *sys.path])
    assert Registry().lookup("sqlite")


def test_the_registry_serves_threads(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads may look up, list, register and refresh at once; the entry points are scanned once
    for as many lookups as come before a refresh."""
    plugin(site, "acme-memory", "[buddy.memory.v2.db]\nmany = acme_m:Db\n", acme_m=GOOD)
    scans: list[int] = []

    def counted() -> list[Claim]:
        scans.append(1)
        return scan()

    monkeypatch.setattr("buddy.memory.entry_points.scan", counted)
    registry = Registry()
    start = Barrier(8)

    def look(n: int) -> None:
        start.wait()
        for i in range(50):
            assert registry.lookup("many").__module__ == "acme_m"
            registry.register(f"name-{n}-{i}", Registered)
            assert f"name-{n}-{i}" in registry.backends()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(look, range(8)))
        assert len(scans) == 1

        def refresh(n: int) -> None:
            registry.refresh()
            assert registry.lookup("many").__module__ == "acme_m"

        list(pool.map(refresh, range(8)))
    assert 2 <= len(scans) <= 9


def test_one_entry_seen_twice_is_one(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same entry in two site folders is one claim."""
    second = site / "second"
    for folder in (site, second):
        plugin(folder, "acme-memory", "[buddy.memory.v2.db]\ntwice = acme_t:Db\n", acme_t=GOOD)
    monkeypatch.syspath_prepend(str(second))
    assert Registry().lookup("twice").__module__ == "acme_t"


def test_malformed_metadata_of_others_is_survived(site: Path) -> None:
    """Another distribution's broken metadata stops neither a lookup nor a listing."""
    plugin(site, "broken-one", "[buddy.memory.v2.db\nno section = \x00\n===")
    plugin(site, "broken-two", "")
    (site / "broken_two-1.0.dist-info" / "METADATA").write_bytes(b"\xff\xfe\x00")
    (site / "broken_two-1.0.dist-info" / "entry_points.txt").write_bytes(b"\xff buddy.memory \xfe")
    (site / "empty-1.0.dist-info").mkdir()
    registry = Registry()
    assert registry.lookup("sqlite")
    assert "sqlite" in registry.backends()


def test_refresh_sees_what_was_installed_since(site: Path) -> None:
    """The scan happens once; refresh() repeats it."""
    registry = Registry()
    assert "late" not in registry.backends()
    plugin(site, "late-memory", "[buddy.memory.v2.db]\nlate = late_db:Db\n", late_db=GOOD)
    assert "late" not in registry.backends()
    registry.refresh()
    assert "late" in registry.backends()


def test_what_the_registry_shows_is_read_only() -> None:
    """The listing cannot be written to."""
    with pytest.raises(TypeError):
        Registry().backends()["x"] = None  # type: ignore[index]


IMPORT = """
import sys
import buddy.memory, buddy.memory.v2.db, buddy.memory.db, buddy.memory.v2.memory, buddy.agent
heavy = ("sqlalchemy", "psycopg", "pymongo", "redis", "google.cloud", "pytest", "asyncio",
         "importlib.metadata", "buddy_memory_")
print([name for name in sys.modules if name.startswith(heavy)])
"""


def test_importing_loads_no_driver_and_scans_nothing() -> None:
    """Importing core loads no driver, no event loop and no metadata."""
    command = [sys.executable, "-I", "-c", IMPORT]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_metadata_the_first_party_backends_are_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where no distribution has metadata, as in frozen applications, sqlite opens all the same."""
    monkeypatch.setattr("buddy.memory.entry_points.scan", list)
    assert Registry().lookup("sqlite", "v1").__module__ == "buddy_memory_sqlite.v1"
    assert StoredMemoryDbV1 in Registry().lookup("sqlite", "v1").__mro__


def test_config_strings_that_import_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """With BUDDY_MEMORY_INSTALLED_ONLY a config string names no class of any module."""
    path = "buddy.memory.v2.db.inmemory:InMemoryDb"
    with open_memory_db(path) as db:
        assert db.count_memories() == 0
    monkeypatch.setenv("BUDDY_MEMORY_INSTALLED_ONLY", "1")
    with pytest.raises(ConfigError, match="installed backends only"):
        open_memory_db(path)
    open_memory_db("memory://").close()
