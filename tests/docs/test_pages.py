"""Every code block of the documentation does what the page says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.play import blocks
from tests.docs.setups import setup

ROOT = Path(__file__).parents[2]
PLAYER = Path(__file__).with_name("play.py")
PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for pattern in (
        "*.md",
        "buddy-memory-*/*.md",
        "benchmarks/*.md",
        "docs/**/*.md",
        "plugins/*/*.md",
    )
    for page in ROOT.glob(pattern)
)

SHOWN = {"bash", "ini", "js", "json", "sql", "text", "toml"}
"""Kinds of blocks that are shown and not run."""

SERVERS = {
    "postgresql://app:${PASSWORD}@db.example.com/app": "postgres",
    "postgresql://user:password@host/app": "postgres",
    "mongodb://localhost": "mongo",
    "redis://localhost:6379": "redis",
}
"""Addresses that pages use, and the fixture that takes the place of each."""

VARIABLES = {
    "BUDDY_MEMORY_URL": "sqlite:///memory.db",
    "COLUMNS": "140",
    "GOOGLE_CLOUD_PROJECT": "my-project",
    "PASSWORD": "x",
    "PRODUCTION": "sqlite:///production.db",
}
"""What the environment of a page's reader holds."""


@pytest.mark.parametrize("name", PAGES)
def test_page(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The blocks of a page run in their order, in a fresh process and an empty folder."""
    found = list(blocks(ROOT / name))
    run = "\n".join(block.code for block in found if block.kind in ("python", "console"))
    if not run:
        return
    addresses = {
        written: request.getfixturevalue(server)
        for written, server in SERVERS.items()
        if written in run
    }
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        **VARIABLES,
        # Beside the README of an example plugin lies its package.
        "PYTHONPATH": os.pathsep.join(
            [str(tmp_path), str((ROOT / name).parent), os.environ.get("PYTHONPATH", "")]
        ),
        "PLAY_ADDRESSES": json.dumps(addresses),
    }
    if "firestore" in run.lower():
        environment["FIRESTORE_EMULATOR_HOST"] = request.getfixturevalue("firestore")
    before = setup(name)
    for program in ([["-c", before]] if before else []) + [[PLAYER, ROOT / name]]:
        played = subprocess.run(
            [sys.executable, "-W", "error", *program],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert played.returncode == 0, played.stdout + played.stderr


@pytest.mark.parametrize("name", PAGES)
def test_kinds(name: str) -> None:
    """Every block is run, or says by its language that it only shows something."""
    for block in blocks(ROOT / name):
        place = f"{name}:{block.line}"
        assert block.kind in SHOWN | {"python", "console"}, f"{place}: kind {block.kind!r}"
        assert block.kind != "console" or block.code.startswith("$ "), f"{place}: no command"
        if block.kind == "bash":
            checked = subprocess.run(
                ["bash", "-n"], input=block.code, capture_output=True, text=True
            )
            assert checked.returncode == 0, f"{place}: {checked.stderr}"
