"""The command's tree, and the one place where errors become a line and an exit code."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import Any

import click

from buddy.memory.cli import exit_codes
from buddy.memory.cli.formatting import plain, remedy
from buddy.memory.cli.output import Warnings, emit_error, open_closed_streams, tell
from buddy.memory.config import redact
from buddy.memory.entry_points import Claim, installed
from buddy.memory.errors import AccessError, BackendLoadError, MemoryDbError
from buddy.memory.import_path import describe, resolve

_COMMANDS = {
    "backends": "backends",
    "check": "check",
    "users": "inspect",
    "ls": "inspect",
    "show": "inspect",
    "search": "search",
    "stats": "stats",
    "add": "edit",
    "rm": "edit",
    "forget": "forget",
    "receipt": "receipt",
    "export": "move",
    "import": "move",
    "copy": "move",
    "upgrade": "upgrade",
    "reindex": "reindex",
    "sweep": "sweep",
    "conformance": "conformance",
    "new-plugin": "new_plugin",
    "completion": "completion",
}
"""Commands in the order of the help, with their modules: each is imported when it is needed."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_COMMANDS, *sorted(_further_commands())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            claim = _further_commands().get(cmd_name)
            return None if claim is None else _load(claim)
        module = import_module(f"buddy.memory.cli.commands.{_COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, f"{cmd_name.replace('-', '_')}_command")
        return command


def _further_commands() -> dict[str, Claim]:
    """Return the commands that other distributions bring, by name; ours come first."""
    claims = (claim for claim in installed.allowed() if claim.kind == "command")
    return {claim.name: claim for claim in claims if claim.name not in _COMMANDS}


def _load(claim: Claim) -> click.Command:
    """Return a command of another distribution; one that cannot be loaded tells so when it runs."""
    try:
        found = resolve(claim.value)
        if isinstance(found, click.Command):
            return found
        reason = f"{claim.value} is no click command"
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        reason = describe(error)
    failure = BackendLoadError(claim.name, claim.distribution, reason, "command")

    @click.command(claim.name, context_settings={"ignore_unknown_options": True})
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def broken(arguments: tuple[str, ...]) -> None:
        raise failure

    broken.short_help = f"(of {claim.distribution}: cannot be loaded)"
    return broken


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="URL names a database: sqlite:///memory.db, postgresql://…?table_name=memory, or "
    "'${NAME}' for one in the environment. Exit codes: 0 done; 1 the answer is no; 2 wrong "
    "usage or config; 3 unavailable; 4 no rights; 5 the data do not allow it; 6 a rule was not "
    "verified; 130 interrupted.",
)
@click.version_option(package_name="buddy-memory-core", prog_name="buddy-memory")
def cli() -> None:
    """Inspect, move and maintain the memories of AI agents."""


def run(args: Sequence[str] | None) -> int:
    """Run the command; return its exit code. No error of the library shows a traceback."""
    arguments = list(sys.argv[1:] if args is None else args)
    open_closed_streams()
    as_json = "--json" in _options(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # It logs to standard error what we tell.
    if "_BUDDY_MEMORY_COMPLETE" in os.environ:
        import_module("buddy.memory.cli.shells")
    logger, handler = logging.getLogger("buddy.memory"), Warnings()
    logger.addHandler(handler)
    try:
        result: Any = cli.main(arguments, prog_name="buddy-memory", standalone_mode=False)
        sys.stdout.flush()
        return int(result or 0)
    except click.ClickException as error:
        if as_json:
            emit_error(type(error).__name__, error.format_message(), error.exit_code)
        else:
            error.show()
        return error.exit_code
    except click.Abort:
        if as_json:
            emit_error("Aborted", "interrupted, or not answered with yes", exit_codes.INTERRUPTED)
        else:
            tell("Aborted.")
        return exit_codes.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; the interpreter must not try to flush the rest.
        sys.stdout = None
        return exit_codes.NO
    except MemoryDbError as error:
        _show(error, as_json=as_json)
        return exit_codes.code_of(error)
    except OSError as error:
        # Of our own streams: what files and databases raise is translated where it comes from.
        from buddy.memory.transfer import FileError

        _show(FileError("standard output", error.strerror or str(error)), as_json=as_json)
        sys.stdout = None  # As above.
        return exit_codes.DATA
    finally:
        logger.removeHandler(handler)


def _options(arguments: list[str]) -> list[str]:
    """Return the arguments up to "--", after which none is an option."""
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _show(error: MemoryDbError, *, as_json: bool) -> None:
    text = redact(str(error))
    kind = type(error).__name__
    if as_json:
        emit_error(kind, text, exit_codes.code_of(error))
        return
    if isinstance(error, AccessError) and error.statement:
        text, _, statement = text.partition("\n")  # A script of many lines, to be copied.
    else:
        text, statement = " ".join(text.split()), ""
    tell(f"error: {plain(text)}", "bold red")
    if statement:
        tell(statement, whole=True)
    if hint := remedy(text):
        tell(hint)
