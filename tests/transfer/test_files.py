"""Files by their names: devices, links, modes, and what a file is whatever it is called."""

from __future__ import annotations

import gzip
import os
import stat
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest

from buddy.memory import open_memory_db
from buddy.memory.cli import exit_codes
from buddy.memory.errors import UnavailableError
from buddy.memory.transfer import files
from buddy.memory.v2.db.base import MemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from tests.cli.conftest import Run, everything


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".xz", ".zst"])
def test_a_file_is_what_it_holds(
    run: Run, process: Run, db: MemoryDb, url: str, other_url: str, tmp_path: Path, suffix: str
) -> None:
    """What is compressed is read under any name, and through a pipe."""
    named = tmp_path / f"out.jsonl{suffix}"
    run("export", url, str(named))
    renamed = named.rename(tmp_path / "renamed.gz.txt")
    assert run("import", other_url, str(renamed)).code == 0
    assert everything(other_url) == everything(url)
    piped = f"sqlite:///{tmp_path / 'piped.db'}"
    assert process("import", piped, "-", stdin=renamed.read_bytes()).code == 0
    assert everything(piped) == everything(url)


def test_the_name_inside_gzip(run: Run, db: MemoryDb, url: str, tmp_path: Path) -> None:
    """gzip's header does not hold the name of the unfinished file."""
    run("export", url, str(tmp_path / "out.jsonl.gz"))
    assert b"part" not in (tmp_path / "out.jsonl.gz").read_bytes()[:80]


def test_zstandard_where_it_is_missing(
    run: Run, db: MemoryDb, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Python cannot compress so, that is said; nothing is written under a wrong name."""
    monkeypatch.setitem(files._MODULES, ".zst", ("no_such_module",))
    ran = run("export", url, str(tmp_path / "out.zst"))
    assert ran.code == exit_codes.DATA
    assert "pip install backports.zstd" in ran.err
    assert not (tmp_path / "out.zst").exists()


def test_a_pipe_with_a_name(run: Run, db: MemoryDb, url: str, tmp_path: Path) -> None:
    """A named pipe, or a device, is written to and stays what it is."""
    pipe = tmp_path / "pipe.gz"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    assert run("export", url, str(pipe)).code == 0
    reader.join(30)  # A file in its place would leave it waiting.
    assert gzip.decompress(read[0]).count(b"\n") == 9
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_pipe_with_a_name_is_read_once(run: Run, db: MemoryDb, url: str, tmp_path: Path) -> None:
    """A named pipe is read, and not waited for a second time where it would have to be compared."""
    pipe, other = tmp_path / "pipe", f"sqlite:///{tmp_path / 'piped.db'}"
    os.mkfifo(pipe)
    exported = tmp_path / "out.jsonl"
    assert run("export", url, str(exported)).code == 0

    def fill() -> None:
        with suppress(BrokenPipeError):
            pipe.write_bytes(exported.read_bytes())

    Thread(target=fill, daemon=True).start()
    assert run("import", other, str(pipe)).code == 0
    assert everything(other) == everything(url)
    again = run("import", other, str(pipe))
    assert again.code == exit_codes.DATA
    assert "a pipe cannot be read twice" in again.err


def test_links_and_modes_stay(run: Run, db: MemoryDb, url: str, tmp_path: Path) -> None:
    """An export over a link replaces the file behind it, and keeps who may read it."""
    secret, link = tmp_path / "secret.jsonl", tmp_path / "link.jsonl"
    secret.write_text("old")
    secret.chmod(0o600)
    link.symlink_to(secret)
    assert run("export", "--force", url, str(link)).code == 0
    assert link.is_symlink()
    assert secret.read_bytes().startswith(b'{"format"')
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_a_lost_database_is_no_bad_file(tmp_path: Path) -> None:
    """What the database raises while a file is written is not taken for the file's error."""
    with pytest.raises(UnavailableError), files.writing(str(tmp_path / "x")):
        raise UnavailableError("PostgreSQL", "nobody answers")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command", [("export", "-"), ("stats",), ("ls", "--all"), ("ls", "--json")], ids=" ".join
)
def test_standard_output_on_a_full_disk(
    process: Run, db: MemoryDb, url: str, command: tuple[str, ...]
) -> None:
    """A full disk behind standard output is one line and an exit code."""
    ran = process(command[0], url, *command[1:], stdout="/dev/full")
    assert ran.code == exit_codes.DATA
    assert "No space left on device" in ran.err
    assert "Traceback" not in ran.err


def test_a_line_is_safe_to_look_at(run: Run, url: str, other_url: str, tmp_path: Path) -> None:
    """What a terminal or an editor would act upon stands as an escape, and is read back."""
    text = "\x7f \x85 \x9b31m \u2028 \u202e \u2066 日本"
    with open_memory_db(url) as db:
        db.upsert_memory(MemoryRow({"memory": text}, text, text))
    file = tmp_path / "out.jsonl"
    run("export", url, str(file))
    line = file.read_text("utf-8").split("\n")[1]
    assert line.isprintable()
    assert "日本" in line
    assert run("import", other_url, str(file)).code == 0
    assert everything(other_url) == everything(url)
