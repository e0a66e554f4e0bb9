"""``copy``: from any database to any other, verified."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from buddy.memory import open_memory_db
from buddy.memory.cli import exit_codes
from buddy.memory.errors import TooLargeError, UnavailableError, UnsupportedError
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.record import Key, Write
from buddy.memory.transfer import Loaded, copy
from buddy.memory.v2.db.base import MemoryDb
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
from tests.cli.conftest import Run, everything
from tests.core.test_contract import Eight


def test_copy(process: Run, db: MemoryDb, url: str, other_url: str) -> None:
    """Everything arrives as it was, in order, and the copy says that it verified it."""
    ran = process("copy", url, other_url)
    assert ran.code == 0
    assert "read 5 memories and 2 summaries" in ran.out
    assert "wrote 7 new rows" in ran.out
    assert "verified: counts and checksums of 3 users agree" in ran.out
    assert everything(other_url) == everything(url)


def test_dry_run(run: Run, db: MemoryDb, url: str, other_url: str) -> None:
    """--dry-run says what would happen, and neither writes nor makes anything."""
    ran = run("copy", url, other_url, "--dry-run")
    assert ran.code == 0
    assert "would write 7 new rows" in ran.out
    with open_memory_db(other_url) as other:
        assert not other.table_exists()


def test_a_copy_of_the_first_half_continues(
    run: Run, db: MemoryDb, url: str, other_url: str
) -> None:
    """What an interrupted copy left is skipped; also when rows in its middle are missing."""
    with open_memory_db(other_url) as other:
        assert isinstance(other, StoreBackedMemoryDb)
        rows = db.read_memories(sort="asc")
        other.restore_memories([rows[0], rows[2]])
    ran = run("copy", url, other_url, "--json")
    assert ran.code == 0
    assert (ran.json["same"], ran.json["new"], ran.json["complete"]) == (2, 5, True)


def test_rows_in_the_way(run: Run, db: MemoryDb, url: str, other_url: str) -> None:
    """A destination with rows of its own is refused untouched; --merge keeps them and adds ours."""
    with open_memory_db(other_url) as other:
        other.upsert_memory(MemoryRow({"mine": True}, "own", "ann"))
        before = everything(other_url)
        ran = run("copy", url, other_url)
        assert ran.code == exit_codes.DATA
        assert "rows: 1; of these, not in the source with the same content: 1" in ran.err
        assert "--merge" in ran.err
        assert everything(other_url) == before
        assert run("copy", url, other_url, "--merge", "--json").json["complete"] is True
        assert other.count_memories() == 6
        assert run("copy", url, other_url, "--merge").code == 0


def test_a_row_with_other_content(run: Run, db: MemoryDb, url: str, other_url: str) -> None:
    """A row that differs is left alone and named, unless --overwrite; a second run finds peace."""
    with open_memory_db(other_url) as other:
        other.upsert_memory(MemoryRow({"memory": "theirs"}, "m1", "bob"))
        ran = run("copy", url, other_url, "--merge", "--json")
        assert ran.code == exit_codes.NO
        assert (ran.json["differing_rows"], ran.json["complete"]) == (
            [{"user_id": "bob", "id": "m1"}],
            False,
        )
        row = other.read_memory("m1")
        assert row is not None
        assert row.memory == {"memory": "theirs"}
        ran = run("copy", url, other_url, "--overwrite", "--json")
        assert ran.code == 0
        assert (ran.json["overwritten"], ran.json["complete"]) == (1, True)
        ran = run("copy", url, other_url, "--overwrite", "--json")
        assert (ran.json["overwritten"], ran.json["same"]) == (0, 7)


def test_the_same_content_with_other_times(
    run: Run, db: MemoryDb, url: str, other_url: str
) -> None:
    """An update that changed nothing is no difference: it is told, and the times there stay."""
    run("copy", url, other_url)
    db.upsert_memory(MemoryRow({"memory": "Number 1", "topics": ["t"]}, "m1", "bob"))
    before = everything(other_url)
    ran = run("copy", url, other_url, "--json")
    assert ran.code == 0
    assert (ran.json["same"], ran.json["retimed"], ran.json["complete"]) == (7, 1, True)
    assert "note: 1 of these has other times there" in run("copy", url, other_url).out
    assert everything(other_url) == before


def test_another_users_row_is_never_touched(
    run: Run, db: MemoryDb, url: str, other_url: str
) -> None:
    """A row of another user with the same id is another row, with --overwrite, too."""
    with open_memory_db(other_url) as other:
        theirs = other.upsert_memory(MemoryRow({"memory": "Number 1"}, "m1", "eve"))
        ran = run("copy", url, other_url, "--overwrite", "--json")
        assert (ran.code, ran.json["new"], ran.json["overwritten"]) == (0, 7, 0)
        assert other.read_memory("m1", user_id="eve") == theirs
        other.upsert_memory(MemoryRow({"memory": "theirs"}, "m1", "bob"))
        ran = run("copy", url, other_url, "--merge")
        assert ran.code == exit_codes.NO
        assert "left alone 1 row, there with other content: m1 of bob" in ran.out


def test_unreadable_rows(run: Run, db: MemoryDb, url: str, other_url: str, tear: None) -> None:
    """A row of the source that cannot be decoded is named and left out; the others are copied."""
    ran = run("copy", url, other_url, "--json")
    assert ran.code == exit_codes.NO
    assert (ran.json["unreadable"], ran.json["new"], ran.json["complete"]) == (1, 6, False)
    assert "'m2'" in ran.err


def test_a_full_disk(url: str, other_url: str) -> None:
    """A copy that finds no more room says how far it came, and continues when there is some."""
    with open_memory_db(url) as db:
        db.upsert_memories(MemoryRow({"memory": "x" * 500}, str(n), "ann") for n in range(4_000))
    script = (
        "import resource, signal, sys; from buddy.memory.cli import main;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000));"
        "sys.exit(main(['copy', *sys.argv[1:]]))"
    )
    command = [sys.executable, "-c", script, url, other_url]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == exit_codes.UNAVAILABLE
    assert "rows were done before this; the same command continues from there." in done.stderr
    with open_memory_db(url) as db, open_memory_db(other_url) as other:
        there = other.count_memories()
        assert 0 < there < 4_000
        result = copy(db, other)
        assert (result.same, result.new, result.complete) == (there, 4_000 - there, True)


# --- faults, as a library


class Fault(InMemoryStore):
    """A store that takes ``room`` rows and then has an opinion."""

    def __init__(self, room: int, error: Exception) -> None:
        super().__init__()
        self.room, self.error = room, error

    async def restore(self, writes: Sequence[Write]) -> list[Key]:
        """Store what there is room for."""
        if self.room < len(writes):
            raise self.error
        self.room -= len(writes)
        return await super().restore(writes)


def _source(rows: int) -> MemoryDb:
    db = StoreBackedMemoryDb(InMemoryStore())
    db.upsert_memories(MemoryRow({"n": n}, str(n), "ann") for n in range(rows))
    return db


def test_a_connection_that_is_lost() -> None:
    """The error comes out, what was acknowledged stays, and the next copy brings the rest."""
    source, store = _source(2_500), Fault(1_000, UnavailableError("x", "gone"))
    destination = StoreBackedMemoryDb(store)
    with pytest.raises(UnavailableError):
        copy(source, destination)
    assert destination.count_memories() == 1_000
    store.room = 10_000
    result = copy(source, destination)
    assert (result.same, result.new, result.complete) == (1_000, 1_500, True)
    assert destination.read_memories() == source.read_memories()


def test_two_copies_at_once(tmp_path: Path) -> None:
    """Each row is written once, with its version and its times, whichever copy is first."""
    source, url = _source(4_000), f"sqlite:///{tmp_path}/b.db"

    def one(_: int) -> Loaded:
        with open_memory_db(url) as destination:
            return copy(source, destination, merge=True)

    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(one, range(2)))
    assert sum(result.new for result in results) == 4_000
    assert all(result.new + result.same == 4_000 for result in results)
    with open_memory_db(url) as destination:
        assert {row.version for row in destination.iter_memories()} == {1}
        rows = {row.id: row for row in destination.iter_memories()}
    assert rows == {row.id: row for row in source.iter_memories()}


def test_a_row_that_the_destination_cannot_store() -> None:
    """A row that is refused is named with the reason, and does not keep the others away."""

    class Small(InMemoryStore):
        async def restore(self, writes: Sequence[Write]) -> list[Key]:
            if any(write.record.payload == {"n": 3} for write in writes):
                raise TooLargeError(2_000_000, 1_000_000)
            return await super().restore(writes)

    result = copy(_source(10), StoreBackedMemoryDb(Small()))
    assert (result.new, result.refused, result.complete) == (9, 1, False)
    assert result.refused_rows[0]["id"] == "3"
    assert "2,000,000 bytes" in result.refused_rows[0]["reason"]


def test_a_destination_that_does_not_keep_what_it_took() -> None:
    """Verification reads the destination back and names the users whose rows differ."""

    class Forgetful(InMemoryStore):
        async def restore(self, writes: Sequence[Write]) -> list[Key]:
            await super().restore(writes[:-1])
            return [write.record.key for write in writes]

    result = copy(_source(10), StoreBackedMemoryDb(Forgetful()))
    assert result.complete is False
    assert result.mismatches == [{"user_id": "ann", "differs": "rows", "expected": 10, "found": 9}]


@pytest.mark.parametrize("differs", ["content", "times"])
def test_a_destination_that_changes_what_it_took(differs: str) -> None:
    """A payload or a time that comes back changed is found out, for one row among many."""

    class Changing(InMemoryStore):
        async def restore(self, writes: Sequence[Write]) -> list[Key]:
            first, *others = writes
            record = first.record._replace(payload={"n": -1})
            if differs == "times":
                later = first.record.updated_at + timedelta(microseconds=1)
                record = first.record._replace(updated_at=later)
            await super().restore([first._replace(record=record), *others])
            return [write.record.key for write in writes]

    result = copy(_source(10), StoreBackedMemoryDb(Changing()))
    assert result.complete is False
    assert result.mismatches == [
        {"user_id": "ann", "differs": differs, "expected": 10, "found": 10}
    ]


def test_to_a_plugin_of_eight_methods() -> None:
    """A database of the eight methods can be a source and a destination."""
    source = _source(10)
    plugin = Eight()
    assert copy(source, plugin).new == 10
    back = StoreBackedMemoryDb(InMemoryStore())
    assert copy(plugin, back).complete
    assert back.read_memories() == source.read_memories()


def test_summaries_need_a_place() -> None:
    """A destination that keeps no summaries is refused before anything is written."""
    source, plugin = _source(1), Eight()
    source.upsert_summary(SummaryRow({"summary": "s"}, "s"))
    with pytest.raises(UnsupportedError, match="session summaries"):
        copy(source, plugin)
    assert plugin.rows == {}


def test_versions_are_restored_only_for_new_rows(db: MemoryDb, other_url: str) -> None:
    """A row that is there already is left alone."""
    with open_memory_db(other_url) as other:
        assert isinstance(other, StoreBackedMemoryDb)
        other.upsert_memory(MemoryRow({}, "m0", "ann"))
        row = db.read_memory("m0")
        assert row is not None
        assert row.version == 3
        there = other.read_memory("m0")
        assert other.restore_memories([row]) == []
        assert other.read_memory("m0") == there
        (stored,) = other.restore_memories([MemoryRow({}, "fresh", "ann", version=7)])
        assert stored.version == 7
        assert other.read_memory("fresh") == stored


def test_memory_stays_small(url: str, other_url: str) -> None:
    """Copying 20,000 rows of 2 kB takes a fraction of what they weigh."""
    text = "x" * 2_000
    with open_memory_db(url) as db:
        for start in range(0, 20_000, 2_000):
            ids = range(start, start + 2_000)
            db.upsert_memories(MemoryRow({"memory": text}, str(n), "u") for n in ids)
    script = (
        "import resource, sys; from buddy.memory.cli import main;"
        "main(['backends', '--json']); main(['ls', sys.argv[1], '-n', '1', '--json']);"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "code = main(['copy', *sys.argv[1:], '--json']);"
        "after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "sys.stderr.write(f'{code} {(after - before) // 1024}')"
    )
    command = [sys.executable, "-c", script, url, other_url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    code, megabytes = map(int, done.stderr.split())
    assert code == 0
    assert megabytes < 30


def test_progress_is_told(db: MemoryDb, other_url: str) -> None:
    """The callback sees in which phase it is, how far that is, and of how many rows."""
    seen: list[Any] = []
    with open_memory_db(other_url) as other:
        for _ in range(2):
            copy(
                db,
                other,
                progress=lambda so_far: seen.append((so_far.phase, so_far.passed, so_far.total)),
            )
    first = [("writing", 0, 7), ("writing", 7, 7), ("verifying", 0, 7), ("verifying", 7, 7)]
    assert seen == [*first, ("comparing", 0, 7), ("comparing", 7, 7), *first]


class MatchesById(InMemoryStore):
    """Restores no row whose id another user has."""

    async def restore(self, writes: Sequence[Write]) -> list[Key]:
        ids = {key.id for key in self._of(writes[0].record.kind)}
        return await super().restore([w for w in writes if w.record.id not in ids])


def test_a_destination_that_leaves_rows_out(db: MemoryDb) -> None:
    """Rows that a destination neither stores nor refuses are told: the copy is not complete."""
    other = StoreBackedMemoryDb(MatchesById())
    other.upsert_memory(MemoryRow({}, "m0", "somebody else"))
    result = copy(db, other, merge=True)
    assert (result.new, result.refused, result.complete) == (6, 0, False)
    assert [found["user_id"] for found in result.mismatches] == ["ann"]
