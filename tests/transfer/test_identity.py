"""Rows are named by user and id, and keep what they have, through files and between stores."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from buddy.memory import open_memory_db
from buddy.memory.cli import exit_codes
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.record import EVERYBODY, Kind, Record
from buddy.memory.storage.sync_database import StoreBackedContract
from buddy.memory.storage.users import NOBODY
from buddy.memory.transfer import copy, export_file, import_file
from buddy.memory.v2.db.base import MemoryDb
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
from tests.cli.conftest import Run, everything

V1 = Path(__file__).with_name("export_v1.jsonl")
USERS = ("ann", "bob", "", "\x01", "é", None)
ENDS = datetime(2099, 1, 31, 12, 0, 0, 123_000, tzinfo=timezone.utc)
BACKENDS = ("memory", "sqlite", "postgres", "mongo", "redis", "firestore")


@pytest.fixture(params=BACKENDS)
def there(request: pytest.FixtureRequest, other_url: str) -> str:
    """The URL of an empty store on one backend after the other."""
    if request.param == "memory":
        return f"memory://{uuid4().hex}"
    if request.param == "sqlite":
        return other_url
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture(params=["memory", "sqlite"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, MemoryDb]]:
    """A store in which six users have one id each, and its URL."""
    url = f"sqlite:///{tmp_path}/a.db" if request.param == "sqlite" else f"memory://{uuid4().hex}"
    with open_memory_db(url) as db:
        db.upsert_memories(MemoryRow({"memory": f"of {user!r}"}, "x", user) for user in USERS)
        db.upsert_memory(MemoryRow({"memory": "again"}, "x", "bob"))
        db.upsert_summaries(SummaryRow({"summary": f"{user!r}"}, "monday", user) for user in USERS)
        yield url, db


def test_one_id_of_several_users(
    run: Run, source: tuple[str, MemoryDb], there: str, tmp_path: Path
) -> None:
    """An id that several users have goes through a copy and through a file, each row as it was."""
    url, db = source
    ran = run("copy", url, there, "--json")
    assert (ran.code, ran.json["complete"], ran.json["new"]) == (0, True, 12)
    assert everything(there) == everything(url)
    file, back = str(tmp_path / "x.jsonl"), f"memory://{uuid4().hex}"
    assert run("export", there, file).code == 0
    ran = run("import", back, file, "--json")
    assert (ran.code, ran.json["complete"], ran.json["restarted_versions"]) == (0, True, 0)
    assert everything(back) == everything(url)
    row = db.read_memory("x", user_id="bob")
    assert row is not None
    assert (row.memory, row.version) == ({"memory": "again"}, 2)
    with open_memory_db(there) as other:
        assert other.read_memory("x", user_id="bob") == row


def test_a_second_copy_compares_by_user_and_id(
    run: Run, source: tuple[str, MemoryDb], there: str
) -> None:
    """What is there is skipped, what is missing of one user is added, nobody else's is touched."""
    url, _ = source
    run("copy", url, there)
    with open_memory_db(there) as other:
        assert other.delete_memories(["x"], user_id=NOBODY) == 1
        other.upsert_memory(MemoryRow({"memory": "theirs"}, "x", "ann"))
    ran = run("copy", url, there, "--merge", "--json")
    assert (ran.json["new"], ran.json["same"], ran.json["differing"]) == (1, 10, 1)
    assert ran.json["differing_rows"] == [{"user_id": "ann", "id": "x"}]
    ran = run("copy", url, there, "--overwrite", "--json")
    assert (ran.json["same"], ran.json["overwritten"], ran.json["complete"]) == (11, 1, True)


def _records(url: str) -> list[Any]:
    with open_memory_db(url) as db:
        assert isinstance(db, StoreBackedContract)
        found = [record for kind in Kind for record in db.iter_records(kind, EVERYBODY)]
    return [record._replace(stamp=None, position=None) for record in found]


def test_ends_and_vectors(run: Run, url: str, there: str, tmp_path: Path) -> None:
    """The end of a row and its vector are kept by a copy, an export and an import."""
    now = datetime(2026, 1, 31, 12, 0, 0, 1, timezone.utc)
    rows = [
        Record(Kind.MEMORY, user, "x", {"memory": "m"}, now, now, 7, end, vector)
        for user, end, vector in (
            ("ann", ENDS, b"\x00\xff" * 700),
            ("bob", None, b""),
            (None, ENDS, None),
        )
    ]
    with open_memory_db(url) as db:
        assert isinstance(db, StoreBackedContract)
        db.restore_records(rows)
        db.restore_records([rows[0]._replace(kind=Kind.SUMMARY, payload={"summary": "s"})])
    wanted = [*rows, rows[0]._replace(kind=Kind.SUMMARY, payload={"summary": "s"})]
    assert _records(url) == wanted
    assert run("copy", url, there, "--json").json["complete"] is True
    assert _records(there) == wanted
    file, back = str(tmp_path / "x.jsonl.gz"), f"memory://{uuid4().hex}"
    assert run("export", there, file).code == 0
    assert run("import", back, file, "--json").json["complete"] is True
    assert _records(back) == wanted


def test_overwriting_brings_end_and_vector(url: str) -> None:
    """A row that is replaced has the end and the vector of the source."""
    now = datetime(2026, 1, 31, tzinfo=timezone.utc)
    source, other = StoreBackedMemoryDb(InMemoryStore()), StoreBackedMemoryDb(InMemoryStore())
    row = Record(Kind.MEMORY, "ann", "x", {"memory": "m"}, now, now, 1, ENDS, b"v")
    source.restore_records([row])
    other.upsert_memory(MemoryRow({"memory": "theirs"}, "x", "ann"))
    assert copy(source, other, overwrite=True).complete
    (stored,) = other.iter_records(Kind.MEMORY, EVERYBODY)
    assert (stored.payload, stored.version) == ({"memory": "m"}, 2)
    assert (stored.expires_at, stored.vector) == (ENDS, b"v")


@pytest.mark.parametrize("lost", ["vectors", "times"])
def test_a_destination_that_loses_ends_or_vectors(lost: str) -> None:
    """Verification finds a vector or an end that did not arrive."""

    class Losing(InMemoryStore):
        async def restore(self, writes: Any) -> Any:
            gone = {"vectors": {"vector": None}, "times": {"expires_at": None}}[lost]
            return await super().restore(
                [write._replace(record=write.record._replace(**gone)) for write in writes]
            )

    source = StoreBackedMemoryDb(InMemoryStore())
    now = datetime(2026, 1, 31, tzinfo=timezone.utc)
    source.restore_records([Record(Kind.MEMORY, "ann", "x", {}, now, now, 1, ENDS, b"v")])
    result = copy(source, StoreBackedMemoryDb(Losing()))
    assert result.mismatches == [{"user_id": "ann", "differs": lost, "expected": 1, "found": 1}]


def test_a_default_end_of_the_destination_is_for_its_own_writes() -> None:
    """A copied row ends as in the source, whatever ``expire`` of the destination says."""
    source = StoreBackedMemoryDb(InMemoryStore())
    source.upsert_memories(MemoryRow({}, str(n), "ann") for n in range(3))
    destination = StoreBackedMemoryDb(InMemoryStore(), {"expire": 60})
    assert copy(source, destination).complete
    assert destination.read_memories() == source.read_memories()


# --- files


@pytest.mark.parametrize("backend", ["memory", "sqlite"])
def test_a_file_of_version_1_is_read(run: Run, url: str, backend: str) -> None:
    """A file of the format without ends and vectors brings its rows as they were."""
    to = url if backend == "sqlite" else f"memory://{uuid4().hex}"
    ran = run("import", to, str(V1), "--json")
    assert (ran.code, ran.json["new"], ran.json["complete"]) == (0, 4, True)
    tea, nobody, half, monday = everything(to)
    assert (tea.id, tea.user_id, tea.version) == ("m1", "ann", 3)
    assert tea.created_at == datetime(2026, 1, 30, 8, 0, 0, 1, timezone.utc)
    assert (nobody.user_id, half.user_id, half.memory) == (None, "", {"memory": "\ud800 half"})
    assert half.created_at == half.last_updated
    assert (monday.id, monday.summary, monday.version) == ("monday", {"summary": "On tea."}, 2)
    assert run("import", to, str(V1), "--json").json["same"] == 4


def test_version_1_has_no_further_fields(run: Run, url: str, tmp_path: Path) -> None:
    """A field of version 2 in a file that says version 1 is refused with its line."""
    lines = V1.read_text().splitlines()
    lines[2] = json.dumps({**json.loads(lines[2]), "vector": "AA=="})
    (tmp_path / "x.jsonl").write_text("\n".join(lines))
    ran = run("import", url, str(tmp_path / "x.jsonl"))
    assert ran.code == exit_codes.DATA
    assert "line 3: the line is no row" in ran.err
    assert "vector" in ran.err


def test_a_row_that_stands_twice(
    run: Run, source: tuple[str, MemoryDb], there: str, tmp_path: Path
) -> None:
    """A user and id that stand twice in a file are refused with the line, on every backend."""
    url, _ = source
    lines = run("export", url, "-").out.splitlines(keepends=True)
    again = json.loads(lines[2])
    lines.insert(9, json.dumps({**again, "payload": {"memory": "later"}}) + "\n")
    (tmp_path / "x.jsonl").write_text("".join(lines))
    ran = run("import", there, str(tmp_path / "x.jsonl"))
    assert ran.code == exit_codes.DATA
    assert "line 10: the memory 'x' of the user 'bob' is in the file twice" in ran.err
    with open_memory_db(there) as db:
        assert (db.count_memories(), db.count_summaries()) == (6, 2)
        row = db.read_memory("x", user_id="bob")
        assert row is not None
        assert row.memory == {"memory": "again"}


def test_one_id_of_a_memory_and_a_summary(tmp_path: Path) -> None:
    """A memory and a summary with the same user and id are two rows."""
    db, other = StoreBackedMemoryDb(InMemoryStore()), StoreBackedMemoryDb(InMemoryStore())
    memory = db.upsert_memory(MemoryRow({"memory": "m"}, "x", "ann"))
    db.upsert_summary(SummaryRow({"summary": "s"}, "x", "ann"))
    export_file(db, str(tmp_path / "x.jsonl"))
    assert import_file(other, str(tmp_path / "x.jsonl")).complete
    assert other.read_memory("x", user_id="ann") == memory
