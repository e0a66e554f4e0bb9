"""Promises about the project itself."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from pathlib import Path
from types import ModuleType

import pytest

import buddy.agent
import buddy.memory
from buddy.memory.known_backends import FIRST_PARTY
from buddy.memory.testing import CHECKS
from buddy.memory.testing.rules.titles import RULES

ROOT = Path(__file__).parents[2]
CORE = ROOT / "buddy-memory-core" / "buddy"
FACADES = sorted(
    path
    for version in ("db", "v2/db")
    for path in (CORE / "memory" / version).glob("*.py")
    if path.stem in ("sqlite", "postgres", "mongodb", "redis", "firestore")
)


def _modules() -> list[ModuleType]:
    found: list[ModuleType] = [buddy.agent]
    for module in pkgutil.walk_packages(buddy.memory.__path__, "buddy.memory."):
        if Path(CORE.parent, *module.name.split(".")).with_suffix(".py") not in FACADES:
            found.append(importlib.import_module(module.name))
    return found


@pytest.mark.parametrize("path", FACADES, ids=lambda path: f"{path.parent.parent.name}.{path.stem}")
def test_every_facade_has_one_shape(path: Path) -> None:
    """A façade is a docstring, the two imports, the hint what to install, and __all__."""
    tree = ast.parse(path.read_text())
    kinds = [type(node).__name__ for node in tree.body]
    assert kinds == ["Expr", "ImportFrom", "Try", "Assign"]
    attempt = tree.body[2]
    assert isinstance(attempt, ast.Try)
    imported = attempt.body[0]
    assert isinstance(imported, ast.ImportFrom)
    exported = tree.body[3]
    assert isinstance(exported, ast.Assign)
    assert ast.literal_eval(exported.value) == [alias.name for alias in imported.names]
    package = str(imported.module).partition(".")[0]
    assert repr(package.replace("_", "-"))[1:-1] in path.read_text()
    classes = {value for entry in FIRST_PARTY.values() for value in entry.classes.values()}
    assert {f"{imported.module}:{alias.name}" for alias in imported.names} <= classes


def test_core_imports_no_driver() -> None:
    """Only buddy.memory.storage.sql imports SQLAlchemy, and nothing in core imports a driver."""
    drivers = {"psycopg", "pymongo", "redis", "google", "sqlite3", "aiosqlite"}
    for path in CORE.rglob("*.py"):
        names = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.partition(".")[0])
        assert not names & drivers, path
        if path.parent.name != "sql":
            assert "sqlalchemy" not in names, path


def test_public_names_are_documented() -> None:
    """Every public module, class and function of core says what it is."""
    for module in _modules():
        assert module.__doc__, module.__name__
        for name, value in vars(module).items():
            own = getattr(value, "__module__", None) == module.__name__
            if (
                not name.startswith("_")
                and own
                and (inspect.isclass(value) or inspect.isfunction(value))
            ):
                assert inspect.getdoc(value), f"{module.__name__}.{name}"


def test_every_rule_has_checks_that_state_a_fact() -> None:
    """The kit covers every rule of its titles, and every check states one fact."""
    assert {check.rule for check in CHECKS} == set(RULES)
    assert len({check.id for check in CHECKS}) == len(CHECKS)
    for check in CHECKS:
        assert len(check.fact) > 20, check.id
        assert check.fact.count("\n") == 0, check.id


def test_the_rules_are_written_down() -> None:
    """docs/rules.md has a section for every rule."""
    text = (ROOT / "docs" / "rules.md").read_text()
    for rule, title in RULES.items():
        assert f"\n## {rule} {title}\n" in text


def test_only_the_namespace_is_open() -> None:
    """buddy/ itself has no __init__.py; every package below it has one and ships its types."""
    assert not (CORE / "__init__.py").exists()
    for package in ("memory", "agent"):
        assert (CORE / package / "__init__.py").exists()
        assert (CORE / package / "py.typed").exists()


def _imports(path: Path) -> set[str]:
    """Return the modules that a file names in imports, wherever they stand in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def _sources() -> dict[str, Path]:
    """Return the files of all distributions and plugins by the names of their modules."""
    found = {}
    for folder in (*ROOT.glob("buddy-memory-*"), *ROOT.glob("[ap]*s/buddy-memory-*")):
        for path in folder.rglob("*.py"):
            parts = path.relative_to(folder).with_suffix("").parts
            if "tests" not in parts and "plugin" not in parts and parts[-1] != "__init__":
                found[".".join(parts)] = path
    return found


def test_no_circle_of_imports() -> None:
    """No file imports itself through others, also not inside functions or for checkers only."""
    sources = _sources()
    arrows = {name: _imports(path) & sources.keys() - {name} for name, path in sources.items()}

    def behind(name: str) -> set[str]:
        seen: set[str] = set()
        waiting = [*arrows[name]]
        while waiting:
            here = waiting.pop()
            if here not in seen:
                seen.add(here)
                waiting += arrows[here]
        return seen

    assert [name for name in sources if name in behind(name)] == []


def test_storage_knows_nothing_of_what_stands_above_it() -> None:
    """The storage of core imports neither the contracts' versions nor the memory objects."""
    for name, path in _sources().items():
        if name.startswith(("buddy.memory.storage.", "buddy.memory.search.")):
            above = ("buddy.memory.v2", "buddy.memory.db", "buddy.memory.conversation")
            assert not [one for one in _imports(path) if one.startswith(above)], name
