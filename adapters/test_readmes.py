"""Every code block of the adapters' READMEs does what the page says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs import play

PAGES = sorted(Path(__file__).parent.glob("*/README.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_readme(page: Path, tmp_path: Path) -> None:
    """The blocks run in their order, in a fresh process and an empty folder."""
    assert [block for block in play.blocks(page) if block.kind == "python"]
    played = subprocess.run(
        [sys.executable, play.__file__, page],
        cwd=tmp_path,
        env={**os.environ, "PLAY_ADDRESSES": "{}"},
        capture_output=True,
        text=True,
    )
    assert played.returncode == 0, played.stdout + played.stderr
