"""``backends``: what there is, without importing it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from buddy.memory.cli.commands.backends import known
from tests.cli.conftest import Run

DRIVERS = ("sqlalchemy", "psycopg", "pymongo", "redis", "google.cloud", "sqlite3")


def test_a_table_of_all(run: Run) -> None:
    """Each backend stands with its names, classes, distribution, version and purpose."""
    ran = run("backends")
    assert ran.code == 0
    line = next(line for line in ran.out.splitlines() if "buddy-memory-sqlite" in line)
    assert line.split()[:4] == ["sqlite", "v1", "v2", "async"]
    assert "0.1.0" in line
    assert "one machine" in line


def test_as_json(run: Run) -> None:
    """--json has one object for each backend, with all of its names."""
    found = {item["distribution"]: item for item in run("backends", "--json").json}
    postgres = found["buddy-memory-postgres"]
    assert postgres["names"] == ["postgres", "postgresql"]
    assert postgres["kinds"] == ["v1", "v2", "async"]
    assert found["buddy-memory-sqlite"]["installed"] is True
    assert found["buddy-memory-sqlite"]["problem"] == ""


def test_no_driver_is_imported() -> None:
    """Listing imports no driver, no backend, and for JSON not even what draws tables."""
    script = (
        "import sys; from buddy.memory.cli import main; main(['backends', '--json']);"
        "sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    loaded = set(done.stderr.split())
    assert done.returncode == 0
    assert not loaded & {*DRIVERS, "rich.table"}
    assert not {name for name in loaded if name.startswith("buddy_memory_")}


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that is not installed, is broken, blocked or lacks its driver says what to do."""

    def problem(of: str) -> str:
        return next(item.problem for item in known() if of in item.names)

    monkeypatch.setattr(
        "buddy.memory.cli.commands.backends._is_installed", lambda name: name != "SQLAlchemy"
    )
    monkeypatch.setattr(
        "buddy.memory.cli.commands.backends._missing_requirements",
        lambda name: ["psycopg"] if "postgres" in name else [],
    )
    assert problem("postgres") == "psycopg is missing: pip install buddy-memory-postgres"
    monkeypatch.setattr(
        "buddy.memory.cli.commands.backends._is_there", lambda name: "sqlite" not in name
    )
    assert "pip install --force-reinstall buddy-memory-sqlite" in problem("sqlite")
    monkeypatch.setenv("BUDDY_MEMORY_BLOCK", "buddy-memory-sqlite")
    assert problem("sqlite") == "blocked by BUDDY_MEMORY_BLOCK"


def test_a_third_partys_backend_is_listed(tmp_path: Path) -> None:
    """A plugin of another distribution is listed with that distribution's summary."""
    info = tmp_path / "acme_memory-2.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: acme-memory\nVersion: 2.1\nSummary: Memories at Acme\n"
    )
    (info / "entry_points.txt").write_text("[buddy.memory.v2.db]\nacme = acme_memory.v2:Db\n")
    (tmp_path / "acme_memory").mkdir()
    (tmp_path / "acme_memory" / "__init__.py").write_text("raise RuntimeError('imported')")
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r});"
    script += "from buddy.memory.cli import main; main(['backends', '--json'])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    acme = next(item for item in json.loads(done.stdout) if item["names"] == ["acme"])
    assert acme["version"] == "2.1"
    assert acme["good_for"] == "Memories at Acme"
    assert acme["problem"] == ""
