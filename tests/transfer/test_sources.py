"""Sources of a copy that are not what one thought."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from buddy.memory import open_memory_db
from buddy.memory.cli import exit_codes
from buddy.memory.v2.db.base import MemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from tests.cli.conftest import Run
from tests.core.test_contract import Eight


def test_a_store_of_today_is_no_older_one(run: Run, db: MemoryDb, url: str, other_url: str) -> None:
    """--from-legacy on a current store says so and copies nothing."""
    ran = run("copy", "--from-legacy", url, other_url)
    assert ran.code == exit_codes.DATA
    assert "its layout is current. Leave out --from-legacy" in ran.err
    with open_memory_db(other_url) as other:
        assert not other.table_exists()


@pytest.mark.parametrize("option", [(), ("--from-legacy",)])
def test_a_source_that_does_not_exist(
    run: Run, url: str, other_url: str, tmp_path: Path, option: tuple[str, ...]
) -> None:
    """A wrong name is no empty store, and nothing is made at either end."""
    for command in (("copy", *option, url, other_url), ("export", url, str(tmp_path / "x.jsonl"))):
        ran = run(*command)
        assert ran.code == exit_codes.DATA
        assert "There is nothing at " in ran.err
    assert list(tmp_path.iterdir()) == []


def test_the_layout_before_rows_were_named_by_user_and_id(
    run: Run, other_url: str, tmp_path: Path
) -> None:
    """A store of an earlier buddy-memory is refused by every command, changed by none, and the
    error says how its rows get here."""
    connection = sqlite3.connect(tmp_path / "earlier.db")
    with connection:
        connection.execute(
            "CREATE TABLE memory (seq INTEGER NOT NULL PRIMARY KEY, id TEXT NOT NULL UNIQUE,"
            " user_id TEXT, memory TEXT NOT NULL, created_at DATETIME NOT NULL,"
            " updated_at DATETIME NOT NULL, version BIGINT DEFAULT 1 NOT NULL)"
        )
        connection.execute("INSERT INTO memory VALUES (1, 'a', 'ann', '{}', '', '', 1)")
    connection.close()
    before = (tmp_path / "earlier.db").read_bytes()
    url = f"sqlite:///{tmp_path / 'earlier.db'}"
    for command in (
        *(("ls", url), ("users", url), ("stats", url), ("show", url, "a"), ("rm", url, "a")),
        *(("add", url, "x"), ("forget", url, "ann", "--yes"), ("upgrade", url, "--yes")),
        *(("copy", url, other_url), ("copy", "--from-legacy", url, other_url)),
        *(("export", url, str(tmp_path / "x.jsonl")), ("check", url)),
    ):
        ran = run(*command)
        assert ran.code == exit_codes.DATA, command
        said = " ".join((ran.out + ran.err).split())
        assert "Export it with the release that wrote it, and import it here" in said
    assert (tmp_path / "earlier.db").read_bytes() == before
    assert not (tmp_path / "x.jsonl").exists()
    assert not (tmp_path / "other.db").exists()


def test_an_empty_store_is_copied(run: Run, url: str, other_url: str) -> None:
    """A store that was made and holds nothing is a source like any other."""
    with open_memory_db(url) as db:
        db.create()
    assert run("copy", url, other_url, "--json").json["complete"] is True


def test_a_table_of_others_is_no_older_one(run: Run, other_url: str, tmp_path: Path) -> None:
    """A table with other columns is refused, by upgrade as well, before anything is asked."""
    connection = sqlite3.connect(tmp_path / "app.db")
    connection.execute("CREATE TABLE memory (id, address, size)")
    connection.close()
    url = f"sqlite:///{tmp_path / 'app.db'}"
    for command in (("copy", "--from-legacy", url, other_url), ("upgrade", url)):
        ran = run(*command)
        assert ran.code == exit_codes.DATA
        assert "is not one of ours" in ran.err or "layout is current" in ran.err


def test_columns_of_others_are_left_behind_by_a_copy(
    run: Run, other_url: str, tmp_path: Path
) -> None:
    """Where an upgrade would lose a column it is refused, and points to the copy, which works."""
    connection = sqlite3.connect(tmp_path / "old.db")
    with connection:
        connection.execute(
            "CREATE TABLE memory (id PRIMARY KEY, user_id, memory, created_at, updated_at, extra)"
        )
        connection.execute("INSERT INTO memory VALUES ('a', 'ann', '{}', 1, 1, 'precious')")
    connection.close()
    url = f"sqlite:///{tmp_path / 'old.db'}"
    ran = run("upgrade", url, "--yes")
    assert ran.code == exit_codes.DATA
    assert "extra" in ran.err
    assert "copy --from-legacy" in ran.err
    assert run("copy", "--from-legacy", url, other_url, "--json").json["complete"] is True


def test_a_plugin_has_no_older_memories(run: Run, other_url: str) -> None:
    """A database of the eight methods has no older layout that anybody knows."""
    ran = run("copy", "--from-legacy", f"{Plugin.__module__}:Plugin", other_url)
    assert ran.code == exit_codes.DATA
    assert "layout is current" in ran.err


class Plugin(Eight):
    """A database of the eight methods, with a row."""

    def __init__(self) -> None:
        super().__init__()
        self.upsert_memory(MemoryRow({}, "a"))
