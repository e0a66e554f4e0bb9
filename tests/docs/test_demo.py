"""The demo writes conversations, reads them in a new process, and says what it did."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from buddy.memory import open_memory_db
from tests.docs.test_pages import ROOT

FOUND = {
    "my trailer. And please": "allergic",
    "learn the cello": "cello",
    "Clara returns": "recipe",
}
"""A part of what answers each question, and a word that matched."""


def demo(folder: Path, *arguments: str) -> str:
    command = [sys.executable, str(ROOT / "examples" / "demo.py"), *arguments]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_demo(tmp_path: Path) -> None:
    """Memories carry their session's times, a second run adds nothing, and the place is told."""
    for _ in range(2):
        told = demo(tmp_path)
        assert str(tmp_path / "demo.db") in told
        assert "./run demo --show --all" in told
        assert "2025-05-12 08:05" in told
        for said, matched in FOUND.items():
            assert re.search(rf"{said}.*{matched}", told)
    with open_memory_db(f"sqlite:///{tmp_path}/demo.db") as db:
        users = db.list_users()
        for user in users:
            times = [row.created_at for row in db.read_memories(user, sort="asc")]
            assert len(set(times)) in (0, 3)  # The pair has summaries only.
            assert times == sorted(times)
        assert db.count_memories() == sum(db.count_memories(user) for user in users)
        assert (db.count_memories(), db.count_summaries()) == (len(_turns()), 3)


def test_another_question(tmp_path: Path) -> None:
    """--ask asks the store that is there, and nothing else is shown."""
    demo(tmp_path)
    told = demo(tmp_path, "--ask", "When will Clara be back?")
    assert "Clara returns in June" in told
    assert "session summaries" not in told


def _turns() -> list[str]:
    import json

    data = json.loads((ROOT / "examples" / "conversation.json").read_text())
    sessions = [value for name, value in data.items() if re.fullmatch(r"session_\d+", name)]
    return [turn["text"] for session in sessions for turn in session]
