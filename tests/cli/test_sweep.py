"""``sweep``, and what other commands say of rows that end."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

from buddy.memory import MemoryRow, SummaryRow, open_memory_db
from buddy.memory.storage import clock
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
from tests.cli.conftest import Run


def fill(url: str) -> None:
    """Three rows that have ended, one that will, one that lasts."""
    with open_memory_db(url) as db:
        assert isinstance(db, StoreBackedMemoryDb)
        # Restored and not written, which would remove some of them at once.
        ended = clock.utc_now() - timedelta(hours=1)
        db.restore_memories(
            MemoryRow({"memory": "x"}, f"{n}", "ann", expires_at=ended) for n in range(2)
        )
        db.restore_summaries([SummaryRow({"summary": "x"}, "monday", "ann", expires_at=ended)])
        db.upsert_memory(MemoryRow({"memory": "later"}, "later", "bob"), ttl=9_999)
        db.upsert_memory(MemoryRow({"memory": "stays"}, "stays", "bob"))


def test_what_has_expired_is_removed(run: Run, tmp_path: Path) -> None:
    """The number of rows is told, and check warns until it is done."""
    url = f"sqlite:///{tmp_path}/a.db"
    fill(url)
    before = run("check", url, "--json")
    expiry = [one for one in json.loads(before.out) if one["check"] == "expiry"]
    assert (expiry[0]["state"], before.code) == ("warning", 0)
    assert expiry[0]["detail"].startswith("3 expired rows still stored, the first since ")
    assert run("sweep", url).out.startswith("removed 3 expired rows in ")
    assert json.loads(run("sweep", url, "--json").out)["removed"] == 0
    after = json.loads(run("check", url, "--json").out)
    assert [one["state"] for one in after if one["check"] == "expiry"] == ["ok"]


def test_listings_show_ends(run: Run, tmp_path: Path) -> None:
    """ls has a column of ends where a row has one, show and --json tell the end."""
    url = f"sqlite:///{tmp_path}/a.db"
    fill(url)
    table = run("ls", url).out
    assert "2 of 2 memories" in table
    assert "expires" in run("show", url, "later").out
    ends = {row["id"]: row["expires_at"] for row in json.loads(run("ls", url, "--json").out)}
    assert ends["stays"] is None
    end = ends["later"][:19].replace("T", " ")
    assert f"{end}Z" in table


def test_expired_rows_are_not_exported(run: Run, tmp_path: Path) -> None:
    """An export holds what is there, with its end."""
    url, file = f"sqlite:///{tmp_path}/a.db", tmp_path / "a.jsonl"
    fill(url)
    assert run("export", url, str(file)).code == 0
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert {row["id"] for row in rows if row.get("kind") == "memory"} == {"later", "stays"}
    other = f"sqlite:///{tmp_path}/b.db?expire=5"
    assert run("import", other, str(file)).code == 0
    with open_memory_db(url) as source, open_memory_db(other) as copy:
        assert copy.read_memories() == source.read_memories()
