"""The code of the pages that newcomers copy from passes both type checkers as it stands."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.play import blocks
from tests.docs.test_pages import ROOT

PAGES = (
    "README.md",
    "docs/agents.md",
    "docs/backends/sqlite.md",
    "docs/configuration.md",
    "docs/errors.md",
    "docs/fastapi.md",
    "docs/hooks.md",
    "docs/index.md",
    "docs/moving-data.md",
    "docs/moving-from-agno.md",
    "docs/search.md",
    "docs/testing.md",
    "docs/tutorial.md",
)

LOOPHOLES = ("cast(", "# type:", "# pyright:", ": Any")
"""What a page must not need to pass."""

WRONG = """\
from buddy.memory import open_memory_db, this_name_does_not_exist

with open_memory_db("memory://") as db:
    print(db.read_memory("m1", user_id="ann").memory)
"""
"""Checked beside the pages, so that a checker that sees no types is noticed."""

COMMANDS = {
    "mypy": ("--strict", "--config-file", str(ROOT / "pyproject.toml"), "--cache-dir=cache", "."),
    "pyright": ("--project", ".", "--pythonpath", sys.executable),
}


def program(page: str) -> str:
    """Return the Python blocks of a page as one program."""
    found = blocks(ROOT / page)
    return "\n\n".join(b.code for b in found if b.kind == "python" and b.file is None)


def files(page: str) -> dict[str, str]:
    """Return the programs that the page has its readers save, by name."""
    return {b.file: b.code for b in blocks(ROOT / page) if b.kind == "python" and b.file}


@pytest.mark.parametrize("page", PAGES)
def test_pages_use_no_loopholes(page: str) -> None:
    """No page silences a type checker."""
    code = "\n".join([program(page), *files(page).values()])
    assert code.strip()
    assert [loophole for loophole in LOOPHOLES if loophole in code] == []


@pytest.mark.parametrize("checker", COMMANDS)
def test_pages_are_typed(checker: str, tmp_path: Path) -> None:
    """The blocks of each page, one after the other, are a program without a type error."""
    for page in PAGES:
        code = {f"page_{Path(page).stem}.py": program(page), **files(page)}
        for name, text in code.items():
            (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "wrong.py").write_text(WRONG, encoding="utf-8")
    settings = {"extends": str(ROOT / "pyproject.toml"), "include": ["."], "exclude": []}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    checked = subprocess.run(
        [sys.executable, "-m", checker, *COMMANDS[checker]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    errors = re.findall(r"([\w-]+)\.py:(\d+).*? error: ", checked.stdout)
    assert set(errors) == {("wrong", "1"), ("wrong", "4")}, checked.stdout + checked.stderr
