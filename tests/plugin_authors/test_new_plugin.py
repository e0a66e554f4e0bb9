"""``buddy-memory new-plugin``: what it writes is complete, typed, tidy and keeps every rule."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from buddy.memory.cli import exit_codes
from tests.cli.conftest import Run


def _tool(folder: Path, *command: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("name", ["q", "my-store", "a-quite-longish-stor"])
def test_what_is_written_is_tidy(run: Run, tmp_path: Path, name: str) -> None:
    """Lint, format and strict types are clean, whatever the length of the name."""
    folder = tmp_path / "new"
    assert run("new-plugin", name, "--dir", str(folder)).code == exit_codes.OK
    for command in (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]):
        _tool(folder, *command)


def test_no_name_is_left(run: Run, tmp_path: Path) -> None:
    """The names of the pattern are gone from every file and path."""
    ran = run("new-plugin", "My_Store", "--dir", str(tmp_path / "x"), "--json")
    assert ran.json["name"] == "my-store"
    written = sorted(p.relative_to(tmp_path / "x") for p in (tmp_path / "x").rglob("*"))
    files = [path.as_posix() for path in written if (tmp_path / "x" / path).is_file()]
    assert files == ran.json["files"]
    assert {".gitignore", "README.md", "buddy_memory_my_store/py.typed"} <= set(files)
    for path in files:
        text = path + (tmp_path / "x" / path).read_text()
        assert "newname" not in text.lower(), path
        assert not path.endswith(".txt")


def test_what_it_declares(run: Run, tmp_path: Path) -> None:
    """The entry points are in all three groups; the range of core's versions holds this one."""
    run("new-plugin", "acme", "--dir", str(tmp_path / "x"))
    text = (tmp_path / "x" / "pyproject.toml").read_text()
    assert 'name = "buddy-memory-acme"' in text
    for group, value in {
        "buddy.memory.db": "v1:AcmeMemoryDb",
        "buddy.memory.v2.db": "v2:AcmeMemoryDb",
        "buddy.memory.v2.db.async": "v2:AsyncAcmeMemoryDb",
    }.items():
        assert f'[project.entry-points."{group}"]\nacme = "buddy_memory_acme.{value}"\n' in text
    major, minor = map(int, metadata.version("buddy-memory-core").split(".")[:2])
    assert f'"buddy-memory-core>={major}.{minor},<{major}.{minor + 1}"' in text


TAKEN = ["redis", "mongodb+srv", "core", "stored", "Threaded", "buddy-memory-sqlite"]
NO_NAMES = ["1x", "x" * 21, "a b", "é", "x.", ""]


@pytest.mark.parametrize("name", TAKEN + NO_NAMES)
def test_names_that_are_refused(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Names of ours, of installed plugins, and what is no name are refused; nothing is written."""
    monkeypatch.chdir(tmp_path)
    assert run("new-plugin", name).code == exit_codes.USAGE
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists(run: Run, tmp_path: Path) -> None:
    """Nothing is written into a folder that exists, nor where no folder can be."""
    assert run("new-plugin", "acme", "--dir", str(tmp_path)).code == exit_codes.USAGE
    assert list(tmp_path.iterdir()) == []
    assert run("new-plugin", "acme", "--dir", "/dev/null/x").code == exit_codes.ACCESS
