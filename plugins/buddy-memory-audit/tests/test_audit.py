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
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from click.testing import CliRunner

from buddy.memory import NOBODY, open_async_memory_db, open_memory_db, plugins
from buddy.memory.errors import ConflictError
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.testing import BackendUnderTest, run_checks
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from buddy.memory.v2.db.store_backed import AsyncStoreBackedMemoryDb, StoreBackedMemoryDb
from buddy_memory_audit import AuditLog, acting_as, verify
from buddy_memory_audit.command import audit_command


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@contextmanager
def registered(plugin: AuditLog) -> Generator[None]:
    plugins.register(plugin)
    try:
        yield
    finally:
        plugins.unregister(plugin)


@pytest.fixture
def log(file: Path) -> Iterator[AuditLog]:
    plugin = AuditLog(file, reads=True)
    with registered(plugin):
        yield plugin


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
    plugin = AuditLog(file.parent / "missing" / "audit.jsonl", reads=True)
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
    plugin = AuditLog(file, fsync=True, reads=True)
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


def test_reads_have_no_line_of_themselves(file: Path) -> None:
    """Without ``reads`` what changes a store is logged, and nothing else."""
    with registered(AuditLog(file)):
        db = StoreBackedMemoryDb(InMemoryStore())
        db.upsert_memory(MemoryRow({}, "a", "ann"))
        db.read_memories("ann")
        db.touch_memories(["a"], user_id="ann", ttl=60)
        db.delete_memory("a", user_id="ann")
        db.count_memories()
        db.ping()
    assert [line["operation"] for line in lines(file)] == ["put", "touch", "delete"]


def test_the_receipt_of_a_user_is_in_the_log(file: Path) -> None:
    """forget_user leaves its whole receipt, and who did it."""
    with registered(AuditLog(file)), acting_as("officer"):
        db = StoreBackedMemoryDb(InMemoryStore())
        db.upsert_memory(MemoryRow({}, "a", "ann"))
        receipt = db.forget_user("ann")
    last = lines(file)[-1]
    assert (last["operation"], last["actor"]) == ("forget_user", "officer")
    assert last["receipt"] == receipt.to_dict()


class SlowDisk:
    """An fsync that waits until the gate is opened, and tells an event loop that it waits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gate, self.waits = Event(), asyncio.Event()
        self._loop = asyncio.get_running_loop()
        monkeypatch.setattr(os, "fsync", self._fsync)

    def _fsync(self, descriptor: int) -> None:
        self._loop.call_soon_threadsafe(self.waits.set)
        assert self.gate.wait(10)


def test_a_slow_disk_does_not_stop_the_event_loop(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one task waits for the disk, another one goes on, and opens the disk's gate."""

    async def both() -> None:
        disk, db = SlowDisk(monkeypatch), AsyncStoreBackedMemoryDb(InMemoryStore())
        writing = asyncio.create_task(db.upsert_memory(MemoryRow({}, "a")))
        await disk.waits.wait()
        assert not writing.done()
        disk.gate.set()
        await writing

    with registered(AuditLog(file, fsync=True)):
        asyncio.run(both())
    assert [line["operation"] for line in lines(file)] == ["put"]


def test_a_call_that_is_cancelled_while_its_line_is_written(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call is cancelled, and its line is there."""

    async def cancelled() -> None:
        disk, db = SlowDisk(monkeypatch), AsyncStoreBackedMemoryDb(InMemoryStore())
        writing = asyncio.create_task(db.upsert_memory(MemoryRow({}, "a")))
        await disk.waits.wait()
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        disk.gate.set()

    with registered(AuditLog(file, fsync=True)):
        asyncio.run(cancelled())
    assert [line["operation"] for line in lines(file)] == ["put"]


KEYS = pytest.mark.parametrize("key", [None, b"a secret"])


def filled(file: Path, key: bytes | None) -> list[bytes]:
    """Write five lines of differing lengths, and return them."""
    with registered(AuditLog(file, key=key)):
        db = StoreBackedMemoryDb(InMemoryStore())
        for length in (1, 90, 5, 70_000, 2):
            db.upsert_memory(MemoryRow({}, 'x","hash":"'[: length % 11] + "y" * length))
    return file.read_bytes().splitlines(keepends=True)


@KEYS
def test_an_untouched_log_is_intact(file: Path, key: bytes | None) -> None:
    """The chain holds, and its last hash is found again when the log has grown."""
    filled(file, key)
    first = verify(file, key=key)
    assert (first.intact, first.lines, list(first.torn)) == (True, 5, [])
    filled(file, key)
    assert verify(file, key=key, until=first.last).intact
    assert not verify(file, key=b"another").intact


@KEYS
def test_every_change_is_noticed(file: Path, key: bytes | None) -> None:
    """A line that is changed, taken out, put in or moved breaks the chain there."""
    a, b, c, d, e = filled(file, key)
    last = verify(file, key=key).last
    changed = b.replace(b'"put"', b'"get"')
    for left, broken in (
        ([a, changed, c, d, e], [2]),
        ([a, c, d, e], [2]),
        ([b, c, d, e], [1]),
        ([a, b, b, c, d, e], [3]),
        ([a, c, b, d, e], [2, 3, 4]),
    ):
        file.write_bytes(b"".join(left))
        found = verify(file, key=key, until=last)
        assert (list(found.broken), found.reached, found.intact) == (broken, True, False)
    file.write_bytes(b"".join([a, b, c]))
    assert verify(file, key=key).intact
    assert not verify(file, key=key, until=last).intact


@KEYS
def test_a_torn_line_breaks_no_chain(file: Path, key: bytes | None) -> None:
    """What follows half a line is chained to the last whole one; the half is named."""
    whole = filled(file, key)
    file.write_bytes(b"".join(whole) + whole[3][:69_000])
    filled(file, key)
    found = verify(file, key=key)
    assert (found.intact, list(found.torn), found.lines) == (True, [6], 11)


def test_the_chain_of_many_processes_holds(tmp_path: Path, file: Path) -> None:
    """Four processes write one log at once, and each line follows the one before it."""
    script = tmp_path / "writes.py"
    script.write_text(
        "import sys\n"
        "from buddy.memory import MemoryRow, open_memory_db, plugins\n"
        "from buddy_memory_audit import AuditLog\n"
        "plugins.register(AuditLog(sys.argv[1]))\n"
        "with open_memory_db('memory://') as db:\n"
        "    for n in range(50):\n"
        "        db.upsert_memory(MemoryRow({}, str(n)))\n"
    )
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    running = [
        subprocess.Popen([sys.executable, script, file], env={**os.environ, "PYTHONPATH": path})
        for _ in range(4)
    ]
    assert [process.wait(60) for process in running] == [0] * 4
    found = verify(file)
    assert (found.intact, found.lines) == (True, 200)


def test_the_command_verifies(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``buddy-memory audit FILE`` prints the last hash; code 1 tells a log that was changed."""
    a, _, *rest = filled(file, b"k")
    monkeypatch.setenv("BUDDY_MEMORY_AUDIT_KEY", "k")
    last = verify(file, key=b"k").last

    def code(*arguments: str) -> int:
        result = CliRunner().invoke(audit_command, [str(file), *arguments])
        output.append(result.output)
        return result.exit_code

    output: list[str] = []
    assert code("--last", last) == 0
    assert f"the chain holds: 5 lines, the last hash is {last}" in output[-1]
    file.write_bytes(b"".join([a, *rest]))
    assert code() == 1
    assert "line 2 does not follow the line before it" in output[-1]
    assert code("--json") == 1
    assert json.loads(output[-1])["broken"] == [2]
    file.write_bytes(a)
    assert code("--last", last) == 1
    assert "is gone" in output[-1]


def test_every_rule_holds_under_the_log(file: Path) -> None:
    """A database that is audited, its reads included, keeps every rule; its log is intact."""
    with registered(AuditLog(file, reads=True, key=b"k")):

        def subject() -> BackendUnderTest:
            store = InMemoryStore()
            return BackendUnderTest(open=lambda: StoreBackedMemoryDb(store), waits=False)

        outcomes = run_checks(subject)
    assert [o for o in outcomes if o.status == "failed"] == []
    assert verify(file, key=b"k").intact
