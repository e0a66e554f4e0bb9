"""The command with standard streams that are closed, and with times of all years."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest

from buddy.memory import open_memory_db
from buddy.memory.cli.formatting import time


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_streams(closed: str, tmp_path: Path) -> None:
    """A command does its work, and its exit code says so."""
    url = f"sqlite:///{tmp_path}/a.db"
    command = f'exec "{sys.executable}" -m buddy.memory.cli add "{url}" --user ann tea {closed}'
    ran = subprocess.run(["sh", "-c", command], check=False, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
    with open_memory_db(url) as db:
        assert db.count_memories("ann") == 1


@pytest.mark.parametrize(
    ("year", "shown"), [(1, "0001-01-01 00:00:00Z"), (9999, "9999-01-01 00:00:00Z")]
)
def test_years_have_four_digits(year: int, shown: str) -> None:
    """The first and the last year are shown as all others."""
    assert time(datetime(year, 1, 1, tzinfo=timezone.utc)) == shown
