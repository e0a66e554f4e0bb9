"""``export`` and ``import``: through a file and back, nothing changed and nothing lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from time import monotonic, sleep

import pytest

from buddy.memory import open_memory_db
from buddy.memory.cli import exit_codes
from buddy.memory.transfer import export_file, import_file
from buddy.memory.v2.db.base import MemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from tests.cli.conftest import Ran, Run, everything


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".xz", ".zst"])
def test_there_and_back(
    run: Run, db: MemoryDb, url: str, other_url: str, tmp_path: Path, suffix: str
) -> None:
    """Ids, owners, payloads, times to the microsecond, versions, summaries and order are kept."""
    db.upsert_memory(
        MemoryRow({}, "a/b:*", "é", created_at=datetime(1970, 1, 1, 0, 0, 0, 1, timezone.utc))
    )
    file = str(tmp_path / f"out.jsonl{suffix}")
    assert run("export", url, file).code == 0
    if suffix:
        assert not (tmp_path / f"out.jsonl{suffix}").read_bytes().startswith(b"{")
    ran = run("import", other_url, file, "--json")
    assert ran.code == 0
    assert ran.json["complete"] is True
    assert ran.json["restarted_versions"] == 0
    assert everything(other_url) == everything(url)


def test_the_file(run: Run, db: MemoryDb, url: str, tmp_path: Path) -> None:
    """JSON Lines in UTF-8: a header, a row in each line in order of writing, counts at the end."""
    file = tmp_path / "out.jsonl"
    run("export", url, str(file))
    lines = [json.loads(line) for line in file.read_bytes().split(b"\n")[:-1]]
    assert lines[0]["format"] == "buddy-memory"
    assert lines[0]["version"] == 2
    assert lines[-1] == {"end": {"memories": 5, "summaries": 2}}
    assert [line["id"] for line in lines[1:-1]] == ["m0", "m1", "m2", "m3", "m4", "s0", "s1"]
    assert lines[2] == {
        "kind": "memory",
        "id": "m1",
        "user_id": "bob",
        "payload": {"memory": "Number 1", "topics": ["t"]},
        "created_at": lines[2]["created_at"],
        "updated_at": lines[2]["updated_at"],
        "row_version": 1,
    }
    assert len(lines[2]["created_at"]) == len("2026-01-31T12:00:00.000000+00:00")


def test_through_pipes(process: Run, db: MemoryDb, url: str, other_url: str) -> None:
    """ "-" is standard output and input, and nothing else is printed there."""
    ran = process("export", url, "-", "--json")
    assert ran.out.count("\n") == 9
    assert process("import", other_url, "-", stdin=ran.out.encode()).code == 0
    assert everything(other_url) == everything(url)
    again = process("import", other_url, "-", stdin=ran.out.encode())
    assert again.code == exit_codes.DATA
    assert "a pipe cannot be read twice" in again.err
    assert process("import", other_url, "-", "--merge", stdin=ran.out.encode()).code == 0


def test_export_of_one_user(run: Run, db: MemoryDb, url: str, tmp_path: Path) -> None:
    """--user exports what one user has, as a request for one's data needs it."""
    ran = run("export", url, str(tmp_path / "x"), "--user", "ann", "--json")
    assert (ran.json["memories"], ran.json["summaries"]) == (2, 2)
    ran = run("export", url, str(tmp_path / "x"), "--nobody", "--json")
    assert (ran.json["memories"], ran.json["summaries"]) == (1, 0)


def test_import_twice(run: Run, db: MemoryDb, url: str, other_url: str, tmp_path: Path) -> None:
    """Importing again changes nothing: not a row, a time or a version."""
    file = str(tmp_path / "x.jsonl")
    run("export", url, file)
    run("import", other_url, file)
    before = everything(other_url)
    ran = run("import", other_url, file, "--json")
    assert (ran.json["new"], ran.json["same"], ran.json["complete"]) == (0, 7, True)
    assert everything(other_url) == before


def _export(run: Run, url: str, tmp_path: Path) -> list[bytes]:
    run("export", url, str(tmp_path / "x.jsonl"))
    return (tmp_path / "x.jsonl").read_bytes().splitlines(keepends=True)


def test_a_torn_line(run: Run, db: MemoryDb, url: str, other_url: str, tmp_path: Path) -> None:
    """A torn line is named; the rows before it are stored, and the whole file continues."""
    lines = _export(run, url, tmp_path)
    torn = tmp_path / "torn.jsonl"
    torn.write_bytes(b"".join(lines[:4]) + lines[4][:30])
    ran = run("import", other_url, str(torn))
    assert ran.code == exit_codes.DATA
    assert f"{torn}, line 5: the line is torn" in ran.err
    assert "3 rows were done" in ran.err
    ran = run("import", f"sqlite:///{tmp_path / 'third.db'}", str(torn), "--json")
    assert json.loads(ran.err)["exit_code"] == exit_codes.DATA
    assert len(everything(other_url)) == 3
    ran = run("import", other_url, str(tmp_path / "x.jsonl"), "--json")
    assert (ran.json["new"], ran.json["same"]) == (4, 3)
    assert everything(other_url) == everything(url)


def test_a_file_that_was_cut_between_lines(
    run: Run, db: MemoryDb, url: str, other_url: str, tmp_path: Path
) -> None:
    """A file without its end, or with lines missing inside, is no complete import."""
    lines = _export(run, url, tmp_path)
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(b"".join(lines[:5]))
    ran = run("import", other_url, str(cut))
    assert ran.code == exit_codes.DATA
    assert "line 6: the file ends before" in ran.err
    cut.write_bytes(b"".join(lines[:3] + lines[4:]))
    ran = run("import", other_url, str(cut))
    assert ran.code == exit_codes.DATA
    assert "lines are lost" in ran.err


def test_a_compressed_file_that_was_cut(
    run: Run, db: MemoryDb, url: str, other_url: str, tmp_path: Path
) -> None:
    """A compressed file that was cut, or is none, is a clear error for each compression."""
    for suffix in ("gz", "bz2", "xz", "zst"):
        whole = tmp_path / f"x.jsonl.{suffix}"
        run("export", url, str(whole))
        for damaged in (whole.read_bytes()[:-20], whole.read_bytes()[:6] + b"no such thing"):
            whole.write_bytes(damaged)
            ran = run("import", other_url, str(whole))
            assert ran.code == exit_codes.DATA
            assert "cut off or damaged" in ran.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file ends before"),
        (b"id,memory\n1,x\n", "line 1: this is no export of buddy-memory"),
        (b'{"format":"buddy-memory","version":99}\n', "use a newer release"),
        (b'{"format":"buddy-memory","version":1}\n{"id":"x"}\n', "line 2: the line is no row"),
        (b'{"format":"buddy-memory","version":1}\n\xff\xfe\n', "line 2: the line is torn"),
        (b"\x89PNG\r\n\x1a\n", "line 1: this is no export"),
    ],
    ids=["empty", "csv", "newer", "no row", "no UTF-8", "an image"],
)
def test_a_wrong_file(run: Run, url: str, tmp_path: Path, content: bytes, message: str) -> None:
    """A file that is none of ours is refused with what is wrong, and nothing is stored or made."""
    (tmp_path / "wrong").write_bytes(content)
    ran = run("import", url, str(tmp_path / "wrong"))
    assert ran.code == exit_codes.DATA
    assert message in ran.err
    assert not (tmp_path / "memory.db").exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", 1),
        ("user_id", 1),
        ("payload", []),
        ("kind", "thought"),
        ("created_at", "yesterday"),
        ("updated_at", "2026-01-01T00:00:00"),
        ("row_version", True),
        ("expires_at", "soon"),
        ("expires_at", None),
        ("vector", "no base64!"),
        ("vector", 7),
        ("extra", 1),
    ],
)
def test_a_wrong_field(
    run: Run, db: MemoryDb, url: str, other_url: str, tmp_path: Path, field: str, value: object
) -> None:
    """A row with a field of the wrong type or an unknown one is refused with its line."""
    lines = _export(run, url, tmp_path)
    lines[2] = json.dumps({**json.loads(lines[2]), field: value}).encode() + b"\n"
    (tmp_path / "x.jsonl").write_bytes(b"".join(lines))
    ran = run("import", other_url, str(tmp_path / "x.jsonl"))
    assert ran.code == exit_codes.DATA
    assert "line 3: " in ran.err
    assert field in ran.err or field == "kind"


def test_a_full_disk(run: Run, db: MemoryDb, url: str, tmp_path: Path) -> None:
    """A file that cannot be written to the end is an error; the old one stands, no part is left."""
    target = tmp_path / "x.jsonl"
    target.write_text("the old one")
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));"
        "from buddy.memory.cli import main;"
        f"sys.exit(main(['export', '--force', {url!r}, {str(target)!r}]))"
    )
    # More than the limit, which leaves room for what SQLite itself writes beside its file.
    db.upsert_memories(MemoryRow({"memory": "x" * 500}, f"big{n}", "ann") for n in range(400))
    db.close()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == exit_codes.DATA
    assert "cannot be written: File too large" in done.stderr
    assert target.read_text() == "the old one"
    assert not list(tmp_path.glob(".x*"))


def test_a_folder_that_is_missing(run: Run, db: MemoryDb, url: str, tmp_path: Path) -> None:
    """A file in a folder that does not exist is an error, not a traceback."""
    ran = run("export", url, str(tmp_path / "none" / "x.jsonl"))
    assert ran.code == exit_codes.DATA
    assert "No such file or directory" in ran.err


def test_export_names_unreadable_rows(
    run: Run, db: MemoryDb, url: str, tmp_path: Path, tear: None
) -> None:
    """Rows that cannot be decoded are named and counted, and the exit code tells."""
    ran = run("export", url, str(tmp_path / "x.jsonl"), "--json")
    assert ran.code == exit_codes.NO
    assert (ran.json["memories"], ran.json["unreadable"]) == (4, 1)
    assert "'m2'" in ran.err


def test_an_import_that_was_killed_continues(
    process: Run, run: Run, url: str, other_url: str, tmp_path: Path
) -> None:
    """After a SIGKILL in the middle the same command brings the rest, each row once."""
    with open_memory_db(url) as db:
        db.upsert_memories(MemoryRow({"n": n}, str(n), f"u{n % 7}") for n in range(5_000))
    lines = _export(run, url, tmp_path)
    command = [sys.executable, "-m", "buddy.memory.cli", "import", other_url, "-"]
    running = subprocess.Popen(command, stdin=subprocess.PIPE)
    assert running.stdin is not None
    with running.stdin as pipe:
        pipe.write(b"".join(lines[:2_600]))
        pipe.flush()
        _wait_for_rows(other_url)
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
    done = len(everything(other_url))
    assert 0 < done < 5_000
    ran: Ran = process("import", other_url, str(tmp_path / "x.jsonl"), "--json")
    assert ran.code == 0
    assert (ran.json["same"], ran.json["new"]) == (done, 5_000 - done)
    assert everything(other_url) == everything(url)


def _wait_for_rows(url: str) -> None:
    deadline = monotonic() + 60
    while monotonic() < deadline:
        with open_memory_db(url) as db:
            if db.count_memories():
                return
        sleep(0.01)
    raise AssertionError("nothing was imported")


def test_a_row_that_is_longer_once_it_is_escaped(tmp_path: Path) -> None:
    """A row whose line takes over 64 MiB, though its text does not, is exported and imported."""
    text = "\x01" * 12_000_000  # Six bytes each in JSON.
    with open_memory_db("memory://") as one, open_memory_db("memory://") as two:
        one.upsert_memory(MemoryRow({"memory": text}, "a", "ann"))
        export_file(one, tmp_path / "a.jsonl")
        assert (tmp_path / "a.jsonl").stat().st_size > 64 * 1024**2
        assert import_file(two, tmp_path / "a.jsonl").complete
        row = two.read_memory("a", user_id="ann")
        assert row is not None
        assert row.memory == {"memory": text}
