"""``buddy-memory conformance``: the kit by URL, on our backends and on broken ones."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from buddy.memory import open_memory_db
from buddy.memory.cli import exit_codes
from buddy.memory.testing import CHECKS
from buddy.memory.v2.db.schema import MemoryRow
from tests.cli.conftest import Run
from tests.plugin_authors import broken


def _path(cls: type[Any]) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _tables(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return [
            name
            for (name,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            )
        ]


def test_all_rules_on_a_file(run: Run, tmp_path: Path) -> None:
    """Every check runs; what cannot be tried is counted apart; nothing is left behind."""
    url = f"sqlite:///{tmp_path / 'memory.db'}"
    with open_memory_db(url) as db:
        mine = db.upsert_memory(MemoryRow({"text": "mine"}, "1", "ann"))
    ran = run("conformance", url, "--api", "v2", "--json")
    assert ran.code == exit_codes.NOT_VERIFIED
    ids = [check.id for check in CHECKS if check.only != "async"]
    assert [check["id"] for check in ran.json["checks"]] == ids
    untried = {rule for rule, n in ran.json["rules"].items() if not n["passed"]}
    assert untried == {"R7", "R11"}
    assert sum(n["failed"] + n["not supported"] for n in ran.json["rules"].values()) == 0
    assert sorted(_tables(tmp_path / "memory.db")) == ["memory", "memory_summaries"]
    with open_memory_db(url) as db:
        assert db.read_memories() == [mine]


def test_every_class(run: Run, tmp_path: Path) -> None:
    """All classes that a URL leads to are on trial, each with the checks that are for it."""
    ran = run("conformance", f"sqlite:///{tmp_path / 'memory.db'}", "--rule", "R12", "--json")
    assert (ran.code, ran.json["faces"]) == (exit_codes.OK, ["v1", "v2", "async"])
    assert {check["api"] for check in ran.json["checks"]} == {"async"}
    assert ran.json["rules"]["R12"]["passed"] == 3


def test_a_table_by_rule(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """People get one line for each rule, and why something was not verified."""
    url = f"sqlite:///{tmp_path / 'memory.db'}"
    monkeypatch.setenv("COLUMNS", "100")
    ran = run("conformance", url, "--api", "v2", "--rule", "r4", "--rule", "R7")
    assert ran.code == exit_codes.NOT_VERIFIED
    assert run("conformance", url, "--api", "v2", "--rule", "r4").code == exit_codes.OK
    assert "✓   R4" in ran.out
    assert "-   R7" in ran.out
    assert "R7 not verified: needs --unreachable URL" in ran.out
    assert re.search(r"\d checks on v2: \d passed, \d not verified\n", ran.out)


def test_lines_where_a_table_has_no_room(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a narrow terminal each rule is a line of words."""
    monkeypatch.setenv("COLUMNS", "60")
    ran = run("conformance", "sqlite", "--api", "v2", "--rule", "R4")
    assert re.match(r"✓ R4 Limit: \d passed, \d not verified\n", ran.out)


def test_a_database_that_does_not_answer(run: Run, tmp_path: Path) -> None:
    """With --unreachable, R7 is tried too; a backend that is down itself is not on trial."""
    url = f"sqlite:///{tmp_path / 'memory.db'}"
    down = "sqlite:///file:/dev/null/x?uri=true"
    ran = run("conformance", url, "--rule", "R7", "--unreachable", down, "--json")
    assert ran.json["rules"]["R7"]["passed"] == 3
    other = "postgresql://ann:geheim@127.0.0.1:1/db?table_name=x"
    ran = run("conformance", url, "--rule", "R7", "--unreachable", other)
    assert ran.code == exit_codes.USAGE
    assert "the same backend" in ran.err
    assert run("conformance", other, "--rule", "R7").code == exit_codes.UNAVAILABLE


def test_a_broken_backend(run: Run) -> None:
    """A broken class is found out by rule, with the assertion and what its sides are."""
    ran = run("conformance", _path(broken.DisorderlyMemoryDb), "--rule", "R3")
    assert ran.code == exit_codes.NO
    assert "✗ R3" in ran.out
    assert "R3-order-is-the-order-of-writing-memory (v2, async)" in ran.out
    assert "assert rows.ids(sort='asc') == ids" in ran.out
    assert "ids is ['0-0', '7-1', '4-2'" in ran.out
    assert "rows.ids(sort='asc') is ['0-0', '0-10', '1-3'" in ran.out


def test_where_a_check_crashed(run: Run) -> None:
    """An exception of the backend is told with the calls that it came through."""
    ran = run("conformance", _path(broken.CrashingMemoryDb), "--rule", "R4", "--api", "v2")
    assert ran.code == exit_codes.NO
    assert "ZeroDivisionError: division by zero" in ran.out
    assert re.search(r"at .*broken\.py:\d+ in read_memories", ran.out)


def test_the_other_rules_of_a_broken_backend(run: Run) -> None:
    """What is broken in one rule passes where that rule does not matter."""
    ran = run("conformance", _path(broken.DisorderlyMemoryDb), "--rule", "R8", "--json")
    assert (ran.code, ran.json["faces"]) == (exit_codes.OK, ["v2", "async"])


def test_what_could_not_be_dropped(run: Run) -> None:
    """A store that could not be dropped is named, without secrets, and the exit code is 1."""
    ran = run("conformance", _path(broken.StickyMemoryDb), "--rule", "R4", "--api", "v2")
    assert ran.code == exit_codes.UNAVAILABLE
    assert "hunter2" not in ran.out + ran.err


def test_a_store_without_a_name(run: Run) -> None:
    """A class whose stores have no name needs --here, which refuses a store that exists."""
    path = _path(broken.NamelessMemoryDb)
    ran = run("conformance", path, "--rule", "R4")
    assert ran.code == exit_codes.USAGE
    assert "--here" in ran.err
    assert run("conformance", path, "--rule", "R4", "--here").code == exit_codes.OK
    ran = run("conformance", path, "--rule", "R4", "--here", "--option", "made=true")
    assert ran.code == exit_codes.USAGE
    assert "this one does" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [["nix://"], ["sqlite", "--rule", "R17"], ["sqlite", "--option", "x"], ["no.such:Thing"]],
)
def test_wrong_usage(run: Run, arguments: list[str]) -> None:
    """What names no backend, no rule or no option is wrong usage."""
    assert run("conformance", *arguments).code == exit_codes.USAGE


def test_assertions_are_needed() -> None:
    """Under python -O nothing would be checked, so that nothing is said to have passed."""
    command = [sys.executable, "-O", "-m", "buddy.memory.cli", "conformance", "sqlite"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == exit_codes.USAGE
    assert "without -O" in ran.stderr
