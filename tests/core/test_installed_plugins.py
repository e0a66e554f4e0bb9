"""Plugins that are installed: found by their entry points."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

INSTALLED = """
import sys
sys.path.insert(0, sys.argv[1])
from buddy.memory import open_memory_db
from buddy.memory.errors import BackendLoadError
try:
    print(type(open_memory_db("sqlite")._rules.store).__name__)
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
