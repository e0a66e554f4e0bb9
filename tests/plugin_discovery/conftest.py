"""Environments that several tests visit. They are built once for each process of a test run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugin_discovery import fake_plugins
from tests.plugin_discovery.environment import CORE_NEEDS, SQL_NEEDS, Environment
from tests.plugin_discovery.wheels import ROOT, built, editable, unpacked


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for wheels."""
    return tmp_path_factory.mktemp("wheels")


@pytest.fixture(scope="session")
def core(wheels: Path) -> Path:
    """The wheel of core, as it would be published."""
    return built(ROOT / "buddy-memory-core", wheels)


@pytest.fixture(scope="session")
def sqlite(wheels: Path) -> Path:
    """The wheel of the SQLite backend, as it would be published."""
    return built(ROOT / "buddy-memory-sqlite", wheels)


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory, core: Path) -> Path:
    """A folder with core in it, to be put on a path."""
    return unpacked(tmp_path_factory.mktemp("ours"), core)


@pytest.fixture(scope="session")
def edited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources of the plugin that is installed editable."""
    return fake_plugins.edited(tmp_path_factory.mktemp("work") / "acme-edited")


@pytest.fixture(scope="session")
def zoo(
    tmp_path_factory: pytest.TempPathFactory, wheels: Path, core: Path, sqlite: Path, edited: Path
) -> Environment:
    """All fake_plugins in one environment, but for the usurper, which would hide what others do."""
    strangers = [
        fake_plugins.good(wheels),
        fake_plugins.without_driver(wheels),
        fake_plugins.leaves(wheels),
        fake_plugins.twin(wheels, "one"),
        fake_plugins.twin(wheels, "two"),
        editable(edited, wheels),
    ]
    folder = tmp_path_factory.mktemp("zoo") / "venv"
    environment = Environment(folder, [core, sqlite, *strangers], [*CORE_NEEDS, *SQL_NEEDS])
    unpacked(environment.site, fake_plugins.malformed(wheels))  # pip would not; others did
    return environment


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with what we need, and without us."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    return Environment(folder, (), [*CORE_NEEDS, *SQL_NEEDS])
