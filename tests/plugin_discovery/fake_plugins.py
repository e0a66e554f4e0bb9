"""The plugins of strangers: one that is fine, and those that others have to survive."""

from __future__ import annotations

from pathlib import Path

from tests.plugin_discovery.wheels import wheel

BACKEND = """
from buddy.memory.db.store_backed import StoreBackedMemoryDb as V1
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.v2.db.store_backed import AsyncStoreBackedMemoryDb, StoreBackedMemoryDb

class OldDb(V1):
    def __init__(self):
        super().__init__(InMemoryStore())

class Db(StoreBackedMemoryDb):
    def __init__(self):
        super().__init__(InMemoryStore())

class AsyncDb(AsyncStoreBackedMemoryDb):
    def __init__(self):
        super().__init__(InMemoryStore())
"""

ALL_CLASSES = """
[console_scripts]
{name} = somewhere:else_

[buddy.memory.db]
{name} = {module}:OldDb

[buddy.memory.v2.db]
{name} = {module}:Db

[buddy.memory.v2.db.async]
{name} = {module}:AsyncDb
"""

V2 = "[buddy.memory.v2.db]\n{name} = {module}:Db\n"

MALFORMED = b"""\xff\xfe [buddy.memory.v2.db
no section = x:y
[[buddy.memory.v2.db]]
[buddy.memory.v2.db]
no pair at all
= nothing:Db
\x00\x00 = \xf0\x28
]
"""


def _backend(
    folder: Path, name: str, entries: str, source: str = BACKEND, backend: str = ""
) -> Path:
    """A distribution acme-NAME whose module acme_NAME has the backend's classes."""
    module = f"acme_{name}"
    text = entries.format(name=backend or name, module=module)
    return wheel(folder, module.replace("_", "-"), text, {module: source})


def good(folder: Path) -> Path:
    """A plugin as it should be."""
    return _backend(folder, "good", ALL_CLASSES)


def without_driver(folder: Path) -> Path:
    """One whose driver is not installed."""
    return _backend(folder, "driverless", V2, "import a_driver_that_is_not_there")


def leaves(folder: Path) -> Path:
    """One that ends the process when it is imported, or would like to."""
    return _backend(folder, "leaves", V2, "raise SystemExit('I am out')")


def twin(folder: Path, which: str) -> Path:
    """One of two distributions that claim the same new name."""
    return _backend(folder, f"twin_{which}", V2, backend="twin")


def usurper(folder: Path) -> Path:
    """One that claims the name of a first-party backend."""
    return _backend(folder, "usurper", V2, backend="sqlite")


def malformed(folder: Path) -> Path:
    """One whose entry_points.txt is rubbish, and mentions us."""
    return wheel(folder, "acme-malformed", MALFORMED)


def bystander(folder: Path, number: int) -> Path:
    """One of the many distributions that have nothing to do with us."""
    entries = "[console_scripts]\ncommand = module:main\n" if number % 3 == 0 else ""
    return wheel(folder, f"bystander-{number}", entries, {f"bystander_{number}": ""})


PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "acme-edited"
version = "2.0"
[project.entry-points."buddy.memory.v2.db"]
edited = "acme_edited:Db"
[tool.hatch.build]
dev-mode-dirs = ["."]
[tool.hatch.build.targets.wheel]
packages = ["acme_edited"]
"""


def edited(project: Path) -> Path:
    """A project under work: what its older release called things lies beside it as egg-info."""
    (project / "acme_edited").mkdir(parents=True)
    (project / "acme_edited" / "__init__.py").write_text(BACKEND)
    (project / "pyproject.toml").write_text(PROJECT)
    stale = project / "acme_edited.egg-info"
    stale.mkdir()
    (stale / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: acme-edited\nVersion: 1.0\n")
    (stale / "entry_points.txt").write_text(
        "[buddy.memory.v2.db]\nedited = acme_edited.gone:Db\nformer = acme_edited.gone:Db\n"
    )
    return project
