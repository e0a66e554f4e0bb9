"""``users``, ``ls``, ``show``, ``search``, ``stats``: data is shown as data."""

from __future__ import annotations

import json

import pytest

from buddy.memory import open_memory_db
from buddy.memory.cli import exit_codes
from buddy.memory.storage.sql import SqlStore
from buddy.memory.v2.db.base import MemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from tests.cli.conftest import STRANGE, Run


def test_users(run: Run, db: MemoryDb, url: str) -> None:
    """Each user stands with the number of memories and summaries; nobody is a user, too."""
    assert run("users", url, "--json").json == [
        {"user_id": "ann", "memories": 2, "summaries": 2},
        {"user_id": "bob", "memories": 2, "summaries": 0},
        {"user_id": None, "memories": 1, "summaries": 0},
    ]
    assert "3 users" in run("users", url).out


def test_users_in_pages(run: Run, db: MemoryDb, url: str) -> None:
    """Users come by id, those with a prefix or behind another one, as many as asked for."""

    def users(*args: str) -> list[str | None]:
        return [row["user_id"] for row in run("users", url, "--json", *args).json]

    db.upsert_memories(MemoryRow({}, "x", f"team/{n}") for n in range(25))
    assert len(users()) == 20
    assert len(users("--all")) == 28
    assert users("-n", "1") == ["ann"]
    assert users("-n", "2", "--after", "ann") == ["bob", "team/0"]
    assert users("--prefix", "team/2") == ["team/2", "team/20", "team/21", "team/22", *TWENTIES]
    assert users("--after", "team/8") == ["team/9", None]
    assert users("--prefix", "zoe") == []
    assert "1 user; more: --after ann" in run("users", url, "-n", "1").out


TWENTIES = ("team/23", "team/24")


def test_users_do_not_cost_a_scan(
    run: Run, db: MemoryDb, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The users are listed without reading a row."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a row was read")

    monkeypatch.setattr(SqlStore, "page", refuse)
    assert len(run("users", url, "--json").json) == 3


def test_ls(run: Run, db: MemoryDb, url: str) -> None:
    """Newest first, as many as asked for, of one user, or the summaries."""

    def ids(*args: str) -> list[str]:
        return [row["id"] for row in run("ls", url, "--json", *args).json]

    assert ids() == ["m4", "m3", "m2", "m1", "m0"]
    assert ids("-n", "2") == ["m4", "m3"]
    assert ids("-n", "2", "--all", "--oldest") == ["m0", "m1", "m2", "m3", "m4"]
    assert ids("--user", "bob") == ["m4", "m1"]
    assert ids("--nobody") == ["m2"]
    assert ids("--prefix", "a") == ["m3", "m0"]
    assert ids("--prefix", "") == ["m4", "m3", "m1", "m0"]
    assert ids("--summaries", "--prefix", "b") == []
    assert ids("--summaries") == ["s1", "s0"]
    assert "2 of 5 memories" in run("ls", url, "-n", "2").out


def test_ls_in_a_narrow_terminal(
    run: Run, db: MemoryDb, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a table would leave no room for the text, the text has lines of its own."""
    db.upsert_memory(MemoryRow({"memory": "word " * 30}, "x" * 40, "ann"))
    monkeypatch.setenv("COLUMNS", "80")
    out = run("ls", url).out
    assert max(map(len, out.splitlines())) <= 80
    assert "    word word word" in out


def test_nothing_is_cut_in_a_pipe(
    run: Run, db: MemoryDb, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no terminal is, a row is one line, for grep and awk."""
    monkeypatch.delenv("COLUMNS", raising=False)
    text = "word " * 50
    db.upsert_memory(MemoryRow({"memory": text}, "long", "ann"))
    assert text.strip() in run("ls", url).out


def test_show(run: Run, db: MemoryDb, url: str) -> None:
    """One row in full: owner, times to the microsecond, version, and the payload as it is."""
    row = run("show", url, "m0", "--json").json
    # Plain JSON makes one character of two surrogates; an export keeps them apart.
    payload = {"memory": "Changed", STRANGE: [STRANGE, 1, 1.5]}
    assert row["payload"] == json.loads(json.dumps(payload))
    assert row["version"] == 3
    assert row["created_at"].endswith("+00:00")
    assert "version  3" in run("show", url, "m0").out
    assert run("show", url, "s1", "--summary", "--json").json["payload"] == {"summary": "S1"}


def test_whose_rows_is_said_once(run: Run, db: MemoryDb, url: str) -> None:
    """--user, --nobody and --prefix exclude each other."""
    for command in (("ls", url), ("show", url, "x"), ("rm", url, "x"), ("stats", url)):
        ran = run(*command, "--user", "ann", "--nobody")
        assert ran.code == exit_codes.USAGE
        assert "either a user or --nobody" in ran.err
    assert run("ls", url, "--prefix", "a", "--nobody").code == exit_codes.USAGE


def test_show_an_id_of_several_users(run: Run, db: MemoryDb, url: str) -> None:
    """Where an id is not enough, that is said with the options that are, and names no user."""
    db.upsert_memories([MemoryRow({"memory": "other"}, "m0", user) for user in ("bob", None)])
    ran = run("show", url, "m0")
    assert ran.code == exit_codes.DATA
    assert "pass --user ID, or --nobody" in ran.err
    assert "bob" not in ran.err
    assert run("show", url, "m0", "--user", "ann", "--json").json["version"] == 3
    assert run("show", url, "m0", "--nobody", "--json").json["user_id"] is None
    assert json.loads(run("show", url, "m0", "--json").err)["error"] == "AmbiguousIdError"
    for whose in (("--nobody",), ("--user", "bob")):
        (found,) = run("search", url, "other", "--json", *whose).json
        assert (found["user_id"], found["id"]) == (None if len(whose) == 1 else "bob", "m0")


def test_show_is_json(run: Run, db: MemoryDb, url: str) -> None:
    """What is shown of a payload is JSON, whatever ends a line elsewhere."""
    db.upsert_memory(MemoryRow({"memory": "one\u2028two\x85three\nfour"}, "ends", "ann"))
    _, _, shown = run("show", url, "ends").out.partition("\n\n")
    assert json.loads(shown) == {"memory": "one\u2028two\x85three\nfour"}


def test_show_what_is_not_there(run: Run, db: MemoryDb, url: str) -> None:
    """An id that is not there, or is another user's, is said to be not there."""
    for args in (("zz",), ("m0", "--user", "bob")):
        ran = run("show", url, *args)
        assert ran.code == exit_codes.NO
        assert "There is no memory" in ran.err
        ran = run("show", url, *args, "--json")
        told = json.loads(ran.err)
        assert (ran.code, ran.out) == (exit_codes.NO, "")
        assert told == {
            "error": "NotFound",
            "message": f"There is no memory '{args[0]}'.",
            "exit_code": 1,
        }


def test_search(run: Run, db: MemoryDb, url: str) -> None:
    """Memories of a user that hold the words are found; none is exit code 1."""
    ann = ("--user", "ann", "--json")
    first = run("search", url, "number 3", *ann).json[0]
    assert first["id"] == "m3"
    assert first["matched"] == ["number", "3"]
    assert first["score"] == first["keyword"] > 0
    assert run("search", url, "number", "3", *ann).json[0] == first
    where = ("--where", '{"memory": {"$contains": "3"}}')
    assert [row["id"] for row in run("search", url, "number", *ann, *where).json] == ["m3"]
    assert run("search", url, "number", *ann, "--where", "{").code == exit_codes.USAGE
    assert run("search", url, "number").code == exit_codes.USAGE
    assert "1 match" in run("search", url, "number 3", "--user", "ann", "-n", "1").out
    ran = run("search", url, "elephants", *ann)
    assert ran.json == []
    assert ran.code == exit_codes.NO
    assert [row["id"] for row in run("search", url, "number", "--nobody", "--json").json] == ["m2"]
    assert run("search", url, "number", "--user", "zoe").code == exit_codes.NO


def test_stats(run: Run, db: MemoryDb, url: str) -> None:
    """Counts of rows and users, bytes, and the most active users."""
    stats = run("stats", url, "--json").json
    assert (stats["memories"], stats["summaries"], stats["users"]) == (5, 2, 3)
    assert stats["largest_id"] == "m0"
    assert stats["top_users"][0] == {"user_id": "ann", "rows": 4}
    assert "memories" in run("stats", url).out
    assert run("stats", url, "--user", "bob", "--json").json["memories"] == 2
    assert run("stats", url, "--nobody", "--json").json["memories"] == 1


def test_numbers_are_never_cut(
    run: Run, db: MemoryDb, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A very long user id leaves room for the numbers beside it."""
    db.upsert_memory(MemoryRow({}, "1", "u" * 500))
    monkeypatch.setenv("COLUMNS", "80")
    lines = run("users", url).out.splitlines()
    assert lines[1].split() == ["User", "Memories", "Summaries"]
    assert [line.split()[1:] for line in lines if "u…" in line] == [["1", "0"]]


def test_wide_characters_are_two_columns(
    run: Run, db: MemoryDb, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Columns stand below each other, also where a character takes two of the terminal's."""
    monkeypatch.delenv("COLUMNS", raising=False)
    db.upsert_memory(MemoryRow({"memory": "text"}, "日本", "ann"))
    lines = run("ls", url).out.splitlines()
    assert lines[1].startswith(" Id     User   ")
    assert lines[3].startswith(" 日本   ann    ")


@pytest.mark.parametrize("command", ["ls", "users", "stats", "show"])
def test_no_spaces_at_the_end_of_lines(
    run: Run, db: MemoryDb, url: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What goes into a pipe is not filled up."""
    monkeypatch.delenv("COLUMNS", raising=False)
    db.upsert_memory(MemoryRow({"memory": "long " * 50}, "long", "ann"))
    lines = run(command, url, *(["m1"] if command == "show" else [])).out.splitlines()
    assert [line for line in lines if line != line.rstrip()] == []


def test_nothing_there_is_no_error(run: Run, url: str) -> None:
    """A store that was never made is empty for every command that looks, and is not made."""
    for command in ("users", "ls", "stats"):
        ran = run(command, url)
        assert ran.code == 0
        assert "Is the name right?" in ran.err
        assert run(command, url, "--json").code == 0
    with open_memory_db(url) as db:
        assert not db.table_exists()
        db.create()
    assert run("ls", url).out == "0 of 0 memories\n"
    assert run("ls", url).err == ""


@pytest.mark.parametrize("command", ["ls", "users", "stats", "show"])
def test_stored_text_is_no_control_sequence(run: Run, url: str, db: MemoryDb, command: str) -> None:
    """Escape sequences and markup in ids, owners and texts are shown, not obeyed."""
    evil = "\x1b[31m[bold]x[/bold]\u202e\ud800\r"
    db.upsert_memory(MemoryRow({"memory": evil}, "\x1b[2J", "\x1b]0;t\x07"))
    ran = run(command, url, *(["\x1b[2J"] if command == "show" else []))
    assert ran.code == 0
    assert not set(ran.out) & {"\x1b", "\x07", "\u202e", "\ud800", "\r"}
    if command in ("ls", "show"):
        assert "[bold]x[/bold]" in ran.out


def test_unreadable_rows_are_named(run: Run, db: MemoryDb, url: str, tear: None) -> None:
    """A row that cannot be decoded is a warning with its id, and the others are shown."""
    ran = run("ls", url, "--json")
    assert [row["id"] for row in ran.json] == ["m4", "m3", "m1", "m0"]
    assert "warning: skipped the unreadable row 'm2'" in ran.err


def test_ls_where(run: Run, url: str) -> None:
    """A filter chooses among the memories that are listed and counted; summaries have none."""
    with open_memory_db(url) as db:
        db.upsert_memories(
            MemoryRow({"memory": f"number {n}", "n": n}, f"w{n}", "walt") for n in range(40)
        )
    where = ("--where", '{"n": {"$lt": 30}}')
    assert [
        row["id"] for row in run("ls", url, "--user", "walt", *where, "-n", "2", "--json").json
    ] == [
        "w29",
        "w28",
    ]
    assert "20 of 30 memories" in run("ls", url, "--prefix", "wal", *where).out
    assert run("ls", url, "--where", "{").code == exit_codes.USAGE
    assert run("ls", url, "--where", '{"n": {"$no": 1}}').code == exit_codes.USAGE
    assert run("ls", url, "--summaries", *where).code == exit_codes.USAGE
