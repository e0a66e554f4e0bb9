"""Rows that end: before, during and after a copy or an export."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep

import pytest

from buddy.memory import MemoryRow, open_memory_db
from buddy.memory.cli import exit_codes, main
from buddy.memory.transfer import Loaded, copy, export_file, import_file
from buddy.memory.transfer.errors import DestinationError
from buddy.memory.v2.db.base import MemoryDb
from tests.core.test_contract import Eight

SHORT = 0.3


@pytest.fixture
def source() -> Iterator[MemoryDb]:
    with open_memory_db("memory://") as db:
        db.upsert_memories([MemoryRow({"n": n}, str(n), "ann") for n in range(3)])
        yield db


@pytest.fixture
def destination(tmp_path: Path) -> Iterator[MemoryDb]:
    with open_memory_db(f"sqlite:///{tmp_path}/copy.db") as db:
        yield db


def when(phase: str, db: MemoryDb, rows: int) -> Callable[[Loaded], None]:
    """Wait, when a phase begins, until no more than so many rows are left in a database."""

    def progress(so_far: Loaded) -> None:
        deadline = monotonic() + 30
        while (so_far.phase, so_far.passed) == (phase, 0) and db.count_memories() > rows:
            assert monotonic() < deadline
            sleep(0.01)

    return progress


def test_a_row_that_ends_before_it_is_verified(source: MemoryDb, destination: MemoryDb) -> None:
    """What ended in the destination is counted, and is no mismatch."""
    source.upsert_memory(MemoryRow({}, "short", "ann"), ttl=SHORT)
    source.upsert_memory(MemoryRow({}, "today", "ann"), ttl=timedelta(hours=1))
    result = copy(source, destination, progress=when("verifying", destination, 4))
    assert (result.new, result.ended, result.complete) == (5, 1, True)


def test_a_row_that_ends_before_it_is_read(source: MemoryDb, destination: MemoryDb) -> None:
    """What ended in the source is neither copied nor called unreadable."""
    source.upsert_memory(MemoryRow({}, "short", "ann"), ttl=SHORT)
    result = copy(source, destination, progress=when("writing", source, 3))
    assert (result.new, result.unreadable, result.complete) == (3, 0, True)


def test_a_row_that_was_there_and_ends(source: MemoryDb, destination: MemoryDb) -> None:
    """What ended among the rows that the destination held is no mismatch either."""
    destination.upsert_memory(MemoryRow({}, "short", "bob"), ttl=SHORT)
    progress = when("verifying", destination, 3)
    result = copy(source, destination, merge=True, progress=progress)
    assert (result.new, result.ended, result.complete) == (3, 1, True)


def test_a_row_that_is_lost(source: MemoryDb, destination: MemoryDb) -> None:
    """A row that is gone long before its end is a mismatch."""
    source.upsert_memory(MemoryRow({}, "today", "ann"), ttl=timedelta(hours=1))

    def lose(so_far: Loaded) -> None:
        if so_far.phase == "verifying":
            destination.delete_memory("today", user_id="ann")

    result = copy(source, destination, progress=lose)
    assert (result.ended, result.complete) == (0, False)
    assert [found["user_id"] for found in result.mismatches] == ["ann"]


def test_a_row_that_is_replaced(source: MemoryDb, destination: MemoryDb) -> None:
    """A row with an end that is overwritten by one without is expected once."""
    destination.upsert_memory(MemoryRow({"old": 1}, "1", "ann"), ttl=timedelta(hours=1))
    result = copy(source, destination, overwrite=True)
    assert (result.new, result.overwritten, result.complete) == (2, 1, True)


def test_an_export_beside_rows_that_end(
    source: MemoryDb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that ends between counting and reading is not unreadable."""
    source.upsert_memory(MemoryRow({}, "short", "ann"), ttl=SHORT)
    count = source.count_summaries

    def slowly(*args: object) -> int:
        when("writing", source, 3)(Loaded())
        return count()

    memories = source.count_memories()
    monkeypatch.setattr(source, "count_summaries", slowly)
    result = export_file(source, str(tmp_path / "out.jsonl"))
    assert memories == 4
    assert (result.memories, result.unreadable) == (3, 0)


@pytest.mark.parametrize("packed", [False, True])
def test_a_destination_that_keeps_no_ends(source: MemoryDb, tmp_path: Path, packed: bool) -> None:
    """It is refused before anything is written, unless the ends may be dropped."""
    source.upsert_memory(MemoryRow({}, "today", "ann"), ttl=timedelta(hours=1))
    name = str(tmp_path / "out.jsonl")
    export_file(source, name)

    def bring(db: MemoryDb, **options: bool) -> Loaded:
        return import_file(db, name, **options) if packed else copy(source, db, **options)

    with Eight() as db:
        with pytest.raises(DestinationError, match=r"today.*--drop-expiry"):
            bring(db)
        assert db.count_memories() == 0
        result = bring(db, drop_expiry=True)
        assert (result.new, result.without_end, result.complete) == (4, 1, True)
        again = bring(db, drop_expiry=True)
        assert (again.same, again.without_end) == (4, 1)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command tells of rows whose end is dropped."""
    url = f"sqlite:///{tmp_path}/m.db"
    with open_memory_db(url) as db:
        db.upsert_memory(MemoryRow({}, "today", "ann"), ttl=timedelta(hours=1))
    other = "tests.core.test_contract:Eight"
    assert main(["copy", url, other]) == exit_codes.DATA
    assert "--drop-expiry" in capsys.readouterr().err
    assert main(["copy", url, other, "--drop-expiry"]) == 0
    assert "1 row had an end and will not end there" in capsys.readouterr().out
    assert main(["copy", url, other, "--drop-expiry", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["without_end"] == 1
