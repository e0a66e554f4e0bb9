"""What is wrong at first use says what to do."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from buddy.memory import Memory, open_memory_db
from buddy.memory.agent import AgentMemory
from buddy.memory.cli import exit_codes
from buddy.memory.errors import BackendLoadError, ConfigError
from buddy.memory.v2.db.base import MemoryDb
from tests.cli.conftest import Run


def test_a_file_where_a_url_is_meant(tmp_path: Path) -> None:
    """A path, or the bare name of a file, is answered with the URL that was meant."""
    for open_it in (open_memory_db, Memory, AgentMemory):
        with pytest.raises(ConfigError, match=r"'sqlite:///folder/m\.db'"):
            open_it(Path("folder/m.db"))
        for name in ("m.db", "folder/m.sqlite3"):
            with pytest.raises(ConfigError, match=re.escape(f"sqlite:///{name}")):
                open_it(name)
    with pytest.raises(ConfigError, match=r"sqlite:///memory\.db"):
        open_memory_db("no such thing")


def test_a_model_where_a_database_is_meant() -> None:
    """A model as the first argument, where other libraries take it, is told where it goes."""
    for make in (Memory, AgentMemory):
        with pytest.raises(TypeError, match=r"a model is given as model=$"):
            make(lambda messages: "fine")


@pytest.mark.parametrize(
    ("scheme", "driver", "distribution"),
    [
        ("redis", "redis", "buddy-memory-redis"),
        ("postgresql", "psycopg", "buddy-memory-postgres"),
        ("mongodb", "pymongo", "buddy-memory-mongo"),
    ],
)
def test_a_driver_that_is_missing(
    scheme: str, driver: str, distribution: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backend whose driver is not installed says what to install."""
    package = distribution.replace("-", "_")
    for module in [m for m in sys.modules if m.partition(".")[0] in (driver, package)]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(BackendLoadError, match=f"not installed: pip install {distribution}$"):
        open_memory_db(f"{scheme}://localhost/x")


def test_limits_are_described(run: Run) -> None:
    """The help of a listing says what --limit does."""
    for command in ("ls", "users", "search"):
        assert "At most so many." in run(command, "--help").out


def test_a_source_that_is_not_there(run: Run, tmp_path: Path) -> None:
    """A copy from a store that was never made names it."""
    ran = run("copy", f"sqlite:///{tmp_path}/none.db", f"sqlite:///{tmp_path}/new.db")
    assert ran.code == exit_codes.DATA
    assert "There is nothing at SqliteMemoryDb" in ran.err
    assert "none.db" in ran.err.replace("\n", "")


@pytest.mark.parametrize(
    "arguments", [("forget", "ann", "--yes"), ("rm", "a"), ("show", "a"), ("sweep",)], ids=str
)
def test_a_store_that_is_not_there(run: Run, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """What finds nothing says where there is no store at all."""
    command, *rest = arguments
    ran = run(command, f"sqlite:///{tmp_path}/none.db", *rest)
    assert "note: There is nothing at SqliteMemoryDb" in ran.err
    assert not (tmp_path / "none.db").exists()


def test_an_erasure_in_no_store_as_json(run: Run, db: MemoryDb, url: str, tmp_path: Path) -> None:
    """A receipt of a store that is not there comes with the note also where a program asks."""
    ran = run("forget", f"sqlite:///{tmp_path}/none.db", "ann", "--yes", "--json")
    assert "note: There is nothing at" in ran.err
    ran = run("forget", url, "nobody has this name", "--yes", "--json")
    assert "note:" not in ran.err


def test_a_memory_without_text(run: Run, db: MemoryDb, url: str) -> None:
    """Nothing is stored for an empty text."""
    for text in ("", " \t"):
        ran = run("add", url, text, "--user", "zoe")
        assert ran.code == exit_codes.DATA
        assert "must not be empty" in ran.err
    assert db.count_memories("zoe") == 0


@pytest.mark.parametrize("name", ["out.zip", "out.tar", "out.TGZ"])
def test_an_archive_is_refused(run: Run, db: MemoryDb, url: str, tmp_path: Path, name: str) -> None:
    """A suffix that promises an archive is refused before anything is written."""
    ran = run("export", url, str(tmp_path / name))
    assert ran.code == exit_codes.DATA
    assert ".gz" in ran.err
    assert not (tmp_path / name).exists()


def test_a_search_without_an_embedder(run: Run, url: str) -> None:
    """A method that needs an embedder names the option of the command."""
    ran = run("search", url, "tea", "--user", "ann", "--method", "hybrid")
    assert ran.code == exit_codes.USAGE
    assert "From the command line: pass --embedder MODULE:NAME." in ran.err


@pytest.mark.parametrize("command", ["export", "import"])
def test_a_url_in_the_place_of_the_file(run: Run, url: str, command: str) -> None:
    """The file before the URL is told as that."""
    ran = run(command, "out.jsonl", url)
    assert ran.code == exit_codes.USAGE
    assert "the URL comes first" in " ".join(ran.err.split())


def test_a_copy_into_nothing_that_stays(run: Run, db: MemoryDb, url: str) -> None:
    """A copy into memory says that it is gone when the command ends."""
    ran = run("copy", url, "memory://")
    assert ran.code == 0
    assert "note: this store is in memory" in " ".join(ran.err.split())
