"""The audit log: one true line for each operation, and never a failed call for its sake."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from buddy.memory import NOBODY, open_async_memory_db, open_memory_db, plugins
from buddy.memory.errors import ConflictError
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
from buddy_memory_audit import AuditLog, acting_as


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.fixture
def log(file: Path) -> Iterator[AuditLog]:
    plugin = AuditLog(file)
    plugins.register(plugin)
    yield plugin
    plugins.unregister(plugin)


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines() if line]


def test_a_line_says_who_did_what_to_which_rows_when(
    log: AuditLog, file: Path, tmp_path: Path
) -> None:
    """A line has actor, operation, scope, rows, their number and time, and no payload."""
    before = datetime.now(timezone.utc)
    with acting_as("nurse"), open_memory_db(f"sqlite:///{tmp_path}/a.db") as db:
        db.upsert_memory(MemoryRow({"secret": 1}, "a", "ann"))
        db.upsert_memories([MemoryRow({"secret": 2}, "b", "bob"), MemoryRow({}, "c")])
        db.upsert_summary(SummaryRow({"secret": 3}, "s", "ann"))
        db.read_memories("ann")
        db.delete_memories(["b", "x"])
        db.count_memories()
        db.count_memories(NOBODY)
        db.delete_users(user_prefix="a")
    put, bulk, summary, page, find, delete, everybody, nobody, prefix, _, close = lines(file)
    assert before <= datetime.fromisoformat(put["time"]) <= datetime.now(timezone.utc)
    assert put["seconds"] > 0
    shown = ("actor", "backend", "operation", "kind", "scope", "keys", "ids", "rows", "error")
    start, ann = ["nurse", "SqliteMemoryDb"], {"user": "ann"}
    rows = (put, bulk, summary, page, find, delete)
    assert [[line[key] for key in shown] for line in rows] == [
        [*start, "put", "memory", ann, [["ann", "a"]], [], 1, None],
        [*start, "put_many", "memory", None, [["bob", "b"], [None, "c"]], [], 2, None],
        [*start, "put", "summary", ann, [["ann", "s"]], [], 1, None],
        [*start, "page", "memory", ann, [["ann", "a"]], [], 1, None],
        [*start, "find", "memory", None, [["bob", "b"]], ["b", "x"], 1, None],
        [*start, "delete_many", "memory", None, [["bob", "b"]], [], 1, None],
    ]
    assert (everybody["scope"], nobody["scope"]) == ("everybody", "nobody")
    assert (prefix["operation"], prefix["scope"]) == ("delete_all", {"prefix": "a"})
    assert close["operation"] == "close"
    assert "secret" not in file.read_text()


def test_a_failed_operation_is_in_the_log(log: AuditLog, file: Path) -> None:
    """A line of a failed operation names the class of its error."""
    db = StoreBackedMemoryDb(InMemoryStore())
    with pytest.raises(ConflictError):
        db.upsert_memory(MemoryRow({}, "a"), if_version=3)
    (line,) = lines(file)
    assert (line["error"], line["rows"], line["keys"]) == ("ConflictError", None, [[None, "a"]])


def test_every_task_has_its_own_actor(log: AuditLog, file: Path, tmp_path: Path) -> None:
    """Tasks that run at once are logged each with its actor, also through threads."""

    async def act(actor: str) -> None:
        async with open_async_memory_db(f"sqlite:///{tmp_path}/a.db") as db:
            with acting_as(actor):
                await db.upsert_memory(MemoryRow({}, actor))

    async def both() -> None:
        await asyncio.gather(act("ann"), act("bob"))

    asyncio.run(both())
    puts = {line["actor"]: line["keys"] for line in lines(file) if line["operation"] == "put"}
    assert puts == {"ann": [[None, "ann"]], "bob": [[None, "bob"]]}


def test_the_file_is_private_and_only_appended_to(log: AuditLog, file: Path) -> None:
    """Lines follow what was there; the file is its owner's; moved away, it is begun anew."""
    db = StoreBackedMemoryDb(InMemoryStore())
    db.ping()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    first = file.read_text()
    db.ping()
    assert file.read_text().startswith(first)
    assert len(lines(file)) == 2
    file.rename(file.with_suffix(".1"))
    db.ping()
    assert len(lines(file)) == 1


def test_a_disk_that_fails_does_not_fail_the_call(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """While the log cannot be written calls go on and the error is logged; then it continues."""
    plugin = AuditLog(file.parent / "missing" / "audit.jsonl")
    plugins.register(plugin)
    try:
        db = StoreBackedMemoryDb(InMemoryStore())
        assert db.upsert_memory(MemoryRow({}, "a")).version == 1
        with pytest.raises(ConflictError):
            db.delete_memory("a", user_id=NOBODY, if_version=9)
        assert caplog.text.count("AuditLog failed while observing") == 2
        (file.parent / "missing").mkdir()
        db.ping()
    finally:
        plugins.unregister(plugin)
    assert len(lines(file.parent / "missing" / "audit.jsonl")) == 1


def test_a_full_disk_spoils_one_line_only(
    log: AuditLog, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """After a line that fitted in half, the next one begins on a line of its own."""
    db = StoreBackedMemoryDb(InMemoryStore())
    db.ping()
    whole = file.stat().st_size
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (whole + 40, old[1]))
    try:
        db.ping()
        db.ping()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    db.ping()
    assert "took 40 of" in caplog.text
    first, torn, last = [line for line in file.read_text().splitlines() if line]
    assert json.loads(first)["operation"] == json.loads(last)["operation"] == "ping"
    assert len(torn) == 40


def test_half_a_line_of_another_process(log: AuditLog, file: Path) -> None:
    """Half a line that another process left behind swallows no line of this one."""
    db = StoreBackedMemoryDb(InMemoryStore())
    db.ping()
    with file.open("a") as other:
        other.write('{"time":"2026')
    db.ping()
    db.ping()
    first, torn, *rest = file.read_text().splitlines()
    assert torn == '{"time":"2026'
    assert [json.loads(line)["operation"] for line in (first, *rest)] == ["ping"] * 3


def test_with_fsync_a_line_is_on_the_disk(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With fsync the file is synchronised once for each line, after the line."""
    synced: list[int] = []
    fsync = os.fsync

    def counted(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_size)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", counted)
    plugin = AuditLog(file, fsync=True)
    plugins.register(plugin)
    try:
        db = StoreBackedMemoryDb(InMemoryStore())
        db.ping()
        db.ping()
    finally:
        plugins.unregister(plugin)
    assert len(synced) == 2
    assert synced[1] == file.stat().st_size


def test_lines_of_threads_do_not_mix(log: AuditLog, file: Path) -> None:
    """Operations of several threads are whole lines, one for each."""
    db = StoreBackedMemoryDb(InMemoryStore())

    def write(n: int) -> None:
        db.upsert_memory(MemoryRow({}, str(n) * 500))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(80)))
    ids = [id for line in lines(file) for _, id in line["keys"]]
    assert sorted(ids) == sorted(str(n) * 500 for n in range(80))


def test_without_a_file_the_installed_plugin_does_not_load() -> None:
    """Importing what the entry point names fails where the environment names no file."""
    load = "import sys; sys.path[:0] = sys.argv[1:]; import buddy_memory_audit.installed"
    command = [sys.executable, "-c", load, str(Path(__file__).parents[1])]
    done = subprocess.run(command, env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "BUDDY_MEMORY_AUDIT_FILE is not set" in done.stderr
