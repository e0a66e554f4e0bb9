"""Metadata as they are found: stale, rubbish, very many, in archives, and none at all."""

from __future__ import annotations

from pathlib import Path
from shutil import make_archive

import pytest

from tests.plugin_discovery import fake_plugins
from tests.plugin_discovery.environment import Environment
from tests.plugin_discovery.wheels import unpacked

WHERE = """
from buddy.memory.registry import default
tell([default.lookup("edited").__module__, default.backends()["edited"].version,
      error(default.lookup, "former")[0]])
"""


def test_stale_metadata_beside_an_editable_install_count_for_nothing(
    zoo: Environment, edited: Path
) -> None:
    """The egg-info of an older release in the source tree neither hides nor joins what is
    installed, also when the process starts in that tree or has it first on its path."""
    current = ["acme_edited", "2.0", "UnknownBackendError"]
    assert zoo.run(WHERE) == current
    assert zoo.run(WHERE, cwd=edited) == current
    assert zoo.run(WHERE, [edited]) == current


def test_an_egg_info_counts_where_it_is_all_there_is(
    bare: Environment, ours: Path, edited: Path
) -> None:
    """Without anything newer, what a source tree on the path says of itself is taken."""
    code = "from buddy.memory import backends\ntell(backends()['former'][1:])"
    answer = bare.run(code, [ours, edited])
    assert answer == [{"v2": "acme_edited.gone:Db"}, "acme-edited", "1.0"]


MALFORMED = """
import logging
warned = []
class Handler(logging.Handler):
    def emit(self, record):
        warned.append(record.getMessage())
logging.getLogger("buddy.memory").addHandler(Handler())
from buddy.memory import backends, open_memory_db
open_memory_db("sqlite").close()
tell([warned, "good" in backends(), "acme-malformed" in str(backends().values())])
"""


def test_malformed_entry_points_are_survived(zoo: Environment) -> None:
    """A distribution whose entry_points.txt is not text is left out with one warning, and stops
    neither a lookup nor a listing."""
    warned, others, listed = zoo.run(MALFORMED)
    assert len(warned) == 1
    assert "UnicodeDecodeError" in warned[0]
    assert (others, listed) == (True, False)


COUNTED = """
import buddy_memory_sqlite.v2, buddy.memory.registry, importlib_metadata
opened = []
def count(event, arguments):
    if event == "open":
        opened.append(str(arguments[0]))
sys.addaudithook(count)
buddy.memory.registry.default.lookup("sqlite")
files = [os.path.basename(file) for file in opened if ".dist-info" in file]
tell([len(files), sorted(set(files))])
"""


def test_four_hundred_distributions_cost_one_small_file_each(
    zoo: Environment, tmp_path: Path, wheels: Path
) -> None:
    """The first lookup opens the entry_points.txt of each distribution, and no metadata but of
    those that claim something."""
    # Not by pip, which does the same in as many seconds as all other tests here take.
    folder = unpacked(tmp_path, *(fake_plugins.bystander(wheels, number) for number in range(400)))
    installed = [file.name for site in (folder, zoo.site) for file in site.glob("*.dist-info")]
    assert len(installed) > 400
    opened, names = zoo.run(COUNTED, [folder])
    claimants = 8
    assert names == ["METADATA", "entry_points.txt"]
    assert len(installed) <= opened <= len(installed) + 10 * claimants


FROZEN = """
from buddy.memory import backends, open_memory_db
with open_memory_db("sqlite") as db:
    rows = db.read_memories()
known = backends()["sqlite"]
hint = error(open_memory_db, "redis://localhost")[1]
tell([rows, type(db).__module__, known.distribution, known.version, hint])
"""


@pytest.mark.parametrize("packed", [False, True], ids=["a folder", "a zip"])
def test_without_metadata_our_own_backends_are_known(
    bare: Environment, tmp_path: Path, core: Path, sqlite: Path, packed: bool
) -> None:
    """Where nothing has metadata, as in frozen applications, sqlite opens, also from a zip, and
    what is missing says what to install."""
    place = unpacked(tmp_path / "app", core, sqlite, metadata=False)
    if packed:
        place = Path(make_archive(str(place), "zip", place))
    rows, module, distribution, version, hint = bare.run(FROZEN, [place])
    assert (rows, module) == ([], "buddy_memory_sqlite.v2")
    assert (distribution, version) == ("buddy-memory-sqlite", None)
    assert "pip install buddy-memory-redis" in hint


def test_plugins_are_found_in_archives(
    bare: Environment, wheels: Path, ours: Path, sqlite: Path
) -> None:
    """A wheel on sys.path is as good as an installed one."""
    code = "from buddy.memory.registry import default\n"
    code += "tell([default.lookup(name).__module__ for name in ('good', 'sqlite')])"
    path = [ours, sqlite, fake_plugins.good(wheels), fake_plugins.malformed(wheels)]
    assert bare.run(code, path) == ["acme_good", "buddy_memory_sqlite.v2"]


LATE = """
from zipfile import ZipFile
from buddy.memory import backends, open_memory_db, refresh
told = [error(open_memory_db, "good")[0]]
before = os.stat({folder!r})
error(__import__, "acme_good")
ZipFile({wheel!r}).extractall({folder!r})
# As on a disk whose clock is coarse: the importer sees no change of the folder.
os.utime({folder!r}, ns=(before.st_atime_ns, before.st_mtime_ns))
told.append(error(open_memory_db, "good")[0])
refresh()
tell([*told, type(open_memory_db("good")).__module__])
"""


def test_refresh_finds_what_was_installed_meanwhile(
    bare: Environment, tmp_path: Path, wheels: Path, ours: Path
) -> None:
    """The path is scanned once; after refresh() a plugin installed since then opens."""
    code = LATE.format(wheel=str(fake_plugins.good(wheels)), folder=str(tmp_path))
    answer = bare.run(code, [ours, tmp_path])
    assert answer == ["UnknownBackendError", "UnknownBackendError", "acme_good"]


FOUND = """
from buddy.memory import open_memory_db
tell(type(open_memory_db({name!r})).__module__)
"""


def test_plugins_are_found_in_eggs(bare: Environment, tmp_path: Path, ours: Path) -> None:
    """The folder of an egg on the path, as easy_install left it, is as good as a wheel."""
    egg = tmp_path / "acme_egg-1.0-py3.egg"
    (egg / "EGG-INFO").mkdir(parents=True)
    (egg / "acme_egg.py").write_text(fake_plugins.BACKEND)
    (egg / "EGG-INFO" / "PKG-INFO").write_text("Name: acme-egg\nVersion: 1.0\n")
    (egg / "EGG-INFO" / "entry_points.txt").write_text("[buddy.memory.v2.db]\negg=acme_egg:Db\n")
    assert bare.run(FOUND.format(name="egg"), [ours, egg]) == "acme_egg"


FINDER = """
import importlib_metadata as metadata
class Distribution(metadata.Distribution):
    def read_text(self, name):
        return {"METADATA": "Name: acme-frozen\\nVersion: 1.0\\n",
                "entry_points.txt": "[buddy.memory.v2.db]\\nfrozen = frozen_app:Db\\n"}.get(name)
    def locate_file(self, path):
        return path
class Finder(metadata.DistributionFinder):
    def find_distributions(self, context=metadata.DistributionFinder.Context()):
        return [Distribution()] if context.name in (None, "acme-frozen") else []
    def find_spec(self, *arguments):
        return None
sys.meta_path.append(Finder())
import types
sys.modules["frozen_app"] = module = types.ModuleType("frozen_app")
exec(BACKEND, vars(module))
"""


def test_plugins_are_found_by_the_finders_of_frozen_applications(
    bare: Environment, ours: Path
) -> None:
    """A finder that tells of distributions, as those of frozen applications do, is asked."""
    code = f"BACKEND = {fake_plugins.BACKEND!r}\n" + FINDER + FOUND.format(name="frozen")
    assert bare.run(code, [ours]) == "frozen_app"
