"""What every command has in common: errors, exit codes, colours, completion."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from buddy.memory.cli import exit_codes
from buddy.memory.cli.app import cli
from buddy.memory.errors import (
    AccessError,
    AmbiguousIdError,
    BackendLoadError,
    ConfigError,
    MemoryDbError,
    SchemaError,
    TooLargeError,
    UnavailableError,
)
from buddy.memory.v2.db.base import MemoryDb
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
from tests.cli.conftest import Run

SECRET = "hunter2"  # noqa: S105  (that it never shows is what is tested)


def test_every_command_explains_itself(run: Run) -> None:
    """--help of the whole and of every command works and says what it does in a short line."""
    context = click.Context(cli)
    names = cli.list_commands(context)
    text = run("--help").out
    for name in names:
        command = cli.get_command(context, name)
        assert command is not None
        assert command.get_short_help_str(60).endswith(".")
        assert "..." not in command.get_short_help_str(60)
        assert name in text
        assert run(name, "--help").code == 0


def test_every_command_but_completion_has_json(run: Run) -> None:
    """Scripts can ask every command for JSON."""
    for name in cli.list_commands(click.Context(cli)):
        assert ("--json" in run(name, "--help").out) == (name != "completion")


def test_an_error_is_one_line(process: Run) -> None:
    """An error of the library is one line on standard error, without a traceback."""
    ran = process("ls", "sqlite:///missing/../folder/x.db?tabel_name=y")
    assert ran.code == exit_codes.USAGE
    assert ran.out == ""
    assert ran.err.startswith("error: ")
    assert "did you mean 'table_name'" in ran.err
    assert ran.err.count("\n") == 1


def test_an_error_as_json(run: Run) -> None:
    """With --json the error is JSON, on standard error, with the exit code."""
    ran = run("ls", "sqlit://", "--json")
    error = json.loads(ran.err)
    assert ran.out == ""
    assert error["error"] == "UnknownBackendError"
    assert error["exit_code"] == ran.code == exit_codes.USAGE


def test_wrong_usage_as_json(run: Run, process: Run, db: MemoryDb, url: str) -> None:
    """Wrong usage and a question without an answer are JSON, too; after "--" it is no option."""
    ran = run("ls", url, "--limit", "x", "--json")
    assert (ran.code, ran.out) == (exit_codes.USAGE, "")
    assert json.loads(ran.err)["exit_code"] == exit_codes.USAGE
    ran = process("forget", url, "ann", "--json")
    assert json.loads(ran.err.splitlines()[-1])["error"] == "Aborted"
    assert run("ls", "sqlit://", "--", "--json").err.startswith("Usage")
    assert run("show", "sqlit://", "--", "--json").err.startswith("error:")


@pytest.mark.parametrize("command", ["ls", "users", "check", "stats"])
def test_no_password_is_shown(run: Run, command: str) -> None:
    """A password in the URL of a database that cannot be reached is shown nowhere."""
    for port in ("1", "nonsense"):
        url = f"postgresql://me:{SECRET}@127.0.0.1:{port}/x?table_name=t"
        ran = run(command, url)
        assert ran.code in (exit_codes.USAGE, exit_codes.UNAVAILABLE)
        assert SECRET not in ran.out + ran.err


class Talkative(StoreBackedMemoryDb):
    """A plugin whose author did not think of passwords."""

    def __init__(self) -> None:
        raise UnavailableError("Talkative", f"no answer from acme://me:{SECRET}@host/x")


def test_a_plugins_errors_are_redacted_too(run: Run) -> None:
    """A password in an error of somebody else's backend is not shown either."""
    for args in ((), ("--json",)):
        ran = run("ls", f"{__name__}:Talkative", *args)
        assert ran.code == exit_codes.UNAVAILABLE
        assert "acme://me:***@host/x" in ran.err


def test_the_url_may_come_from_the_environment(process: Run) -> None:
    """'${NAME}' is filled by the command, so that no password stands in the list of processes."""
    ran = process("add", "${STORE}", "hello", STORE="sqlite:///x.db")
    assert ran.code == 0
    assert process("stats", "sqlite:///x.db", "--json").json["memories"] == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 2),
        (BackendLoadError("a", "b", "c"), 2),
        (UnavailableError("a", "b"), 3),
        (AccessError("x"), 4),
        (SchemaError("x"), 5),
        (TooLargeError(2, 1), 5),
        (AmbiguousIdError("x"), 5),
        (MemoryDbError("x"), 5),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_exit_codes(error: MemoryDbError, code: int) -> None:
    """A kind of error has the exit code that is documented."""
    assert exit_codes.code_of(error) == code


def test_a_statement_to_run_keeps_its_lines(
    run: Run, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """What somebody with the rights has to run is printed as it stands, to be copied."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AccessError("no rights", "CREATE TABLE x (\n  id text\n)")

    monkeypatch.setattr(MemoryDb, "from_url", refuse)
    ran = run("ls", url)
    assert ran.code == exit_codes.ACCESS
    assert "CREATE TABLE x (\n  id text\n)\n" in ran.err


def test_no_colour_without_a_terminal(process: Run, db: MemoryDb, url: str) -> None:
    """What goes into a pipe holds no escape sequences, unless it is forced."""
    assert "\x1b" not in process("users", url).out
    assert "\x1b[" in process("users", url, FORCE_COLOR="1").out
    assert "\x1b[3" not in process("check", url, FORCE_COLOR="1", NO_COLOR="1").out


def test_a_pipe_that_is_closed_early_is_no_error(tmp_path: Path, db: MemoryDb, url: str) -> None:
    """A reader that has seen enough ends the command without a word."""
    command = [sys.executable, "-m", "buddy.memory.cli", "export", url, "-"]
    db.upsert_memories(db.read_memories())
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr:
        assert b"Traceback" not in process.stderr.read()
    assert process.wait() == exit_codes.NO


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(process: Run, shell: str) -> None:
    """Every shell gets a script that asks the command itself."""
    assert "_BUDDY_MEMORY_COMPLETE" in process("completion", shell).out


def test_the_shell_completes_commands_and_schemes(process: Run) -> None:
    """Commands, options and the schemes of installed backends are completed."""
    ran = process(COMP_WORDS="buddy-memory for", COMP_CWORD="1", _BUDDY_MEMORY_COMPLETE="x")
    assert ran.code != 0  # An instruction that click does not know.
    env = {"_BUDDY_MEMORY_COMPLETE": "zsh_complete"}
    assert "forget" in process(COMP_WORDS="buddy-memory for", COMP_CWORD="1", **env).out
    ran = process(COMP_WORDS="buddy-memory ls sqli", COMP_CWORD="2", **env)
    assert "sqlite://" in ran.out


def test_bash_completes_behind_a_colon(process: Run) -> None:
    """bash ends words at colons: a URL that is half there is completed, and files after a URL."""

    def complete(line: str) -> list[str]:
        script = process("completion", "bash").out
        script += 'compopt() { echo "$2"; }\n'
        script += f"COMP_LINE='{line}' COMP_POINT={len(line)} COMP_WORDS=(x) COMP_CWORD=9\n"
        script += f'_buddy_memory_completion "{command}"\nprintf "%s\\n" "${{COMPREPLY[@]}}"\n'
        return bash(script).split("\n")[:-1]

    def bash(script: str) -> str:
        run = ["bash", "--noprofile", "--norc", "-c", script]
        return subprocess.run(run, capture_output=True, text=True, check=True).stdout

    command = Path(sys.executable).with_name("buddy-memory")
    assert complete("buddy-memory copy sqli") == ["nospace", "sqlite://"]
    assert complete("buddy-memory copy sqlite:") == ["nospace", "//"]
    assert complete("buddy-memory import sqlite:///x.db some") == ["default", ""]
    assert complete("buddy-memory forg") == ["forget"]


def test_without_the_extra_it_says_what_to_install(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without click the command names the extra."""
    monkeypatch.setattr("buddy.memory.cli.find_spec", lambda name: None)
    ran = run("backends")
    assert ran.code == exit_codes.USAGE
    assert "buddy-memory-core[cli]" in ran.err
