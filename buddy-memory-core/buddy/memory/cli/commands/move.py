"""``export``, ``import`` and ``copy``: memories on the move."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from buddy.memory.cli import exit_codes
from buddy.memory.cli.formatting import many, one_line, plain, shown_user
from buddy.memory.cli.output import emit, say, tell
from buddy.memory.cli.parameters import (
    complete_url,
    file_argument,
    json_option,
    opened,
    url_argument,
    whose_options,
)
from buddy.memory.cli.progress import Progress
from buddy.memory.cli.row_output import IN_MEMORY, is_in_memory, show_note
from buddy.memory.errors import MemoryDbError
from buddy.memory.storage.users import Nobody

if TYPE_CHECKING:
    from buddy.memory.transfer import Loaded

merge_option = click.option(
    "--merge", is_flag=True, help="Keep the rows that the destination holds, add what is missing."
)
overwrite_option = click.option(
    "--overwrite", is_flag=True, help="Replace rows with other content, too. Implies --merge."
)
dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Read everything, write nothing, say what would happen."
)
drop_expiry_option = click.option(
    "--drop-expiry", is_flag=True, help="Where DESTINATION keeps no ends, store rows for ever."
)


@click.command("export")
@url_argument
@click.argument("file", type=click.Path(allow_dash=True), callback=file_argument)
@whose_options
@click.option("--force", is_flag=True, help="Replace FILE whatever it is.")
@json_option
@click.pass_context
def export_command(
    ctx: click.Context,
    url: str,
    file: str,
    user: str | Nobody | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write everything into a file, as JSON Lines.

    A FILE that ends in .gz, .bz2, .xz or .zst is compressed; "-" is standard output. An existing
    file is replaced if it is an export.
    """
    from buddy.memory.transfer import export_file
    from buddy.memory.transfer.rows import counts

    with opened(url) as db:
        # Where the file goes to the terminal, no bar is to be drawn into it.
        quiet = file == "-" and sys.stdout.isatty()
        progress = Progress("exporting", sum(counts(db, user).values()), quiet=quiet)
        with progress:
            result = export_file(db, file, user_id=user, force=force, progress=progress.update)
    facts = {**asdict(result), "seconds": progress.seconds}
    rows = f"{many(result.rows, 'row')} in {progress.rate()}"
    if file == "-":
        tell(f"exported {rows}")  # Standard output is the file.
    elif as_json:
        emit(facts)
    else:
        say(f"exported {rows} to {plain(file)}")
    if result.unreadable:
        tell(f"{many(result.unreadable, 'row')} could not be read and are not in the file.")
        ctx.exit(exit_codes.NO)


@click.command("import")
@url_argument
@click.argument("file", type=click.Path(allow_dash=True), callback=file_argument)
@merge_option
@overwrite_option
@drop_expiry_option
@dry_run_option
@json_option
@click.pass_context
def import_command(
    ctx: click.Context, /, url: str, file: str, as_json: bool, **options: bool
) -> None:
    """Bring an exported file into a database.

    FILE is what "export" wrote, compressed or not, or "-" for standard input. Rows that
    are there already are skipped, so an import that was interrupted is repeated.
    """
    from buddy.memory.transfer import import_file

    with opened(url) as db, Progress("importing", None) as progress:
        with _continuing(progress, as_json):
            result = import_file(db, file, progress=progress.update, **options)
        note = IN_MEMORY if is_in_memory(db) else ""
    show_note(note)
    _report(ctx, result, progress, options["dry_run"], as_json)


@click.command("copy")
@click.argument("source", shell_complete=complete_url)
@click.argument("destination", shell_complete=complete_url)
@click.option(
    "--from-legacy", is_flag=True, help="The source is a store of older software; see below."
)
@merge_option
@overwrite_option
@drop_expiry_option
@dry_run_option
@json_option
@click.pass_context
def copy_command(
    ctx: click.Context, /, source: str, destination: str, as_json: bool, **options: bool
) -> None:
    """Copy everything into another database and verify it.

    Rows that are there already are skipped, so a copy that was interrupted is repeated.

    With --from-legacy the source is what other software left in tables of the same name;
    it is read and not changed. "upgrade" brings such a store up to date in place instead.
    """
    from buddy.memory.transfer import copy
    from buddy.memory.transfer.rows import counts

    with opened(source) as src, opened(destination) as dst:
        total = None if options["from_legacy"] else sum(counts(src).values())
        with Progress("copying", total) as progress, _continuing(progress, as_json):
            result = copy(src, dst, progress=progress.update, **options)
        note = IN_MEMORY if is_in_memory(dst) else ""
    show_note(note)
    _report(ctx, result, progress, options["dry_run"], as_json)


class _continuing:
    """Says to people, when it fails half-way, what is stored and that the same command goes on."""

    def __init__(self, progress: Progress, as_json: bool) -> None:
        self._progress, self._as_json = progress, as_json

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, (MemoryDbError, KeyboardInterrupt)) and self._progress.done:
            self._progress.stop()
            if self._as_json:
                return  # The error is all that a script is to find there.
            rows = many(self._progress.done, "row")
            tell(f"{rows} were done before this; the same command continues from there.")


def _report(
    ctx: click.Context, result: Loaded, progress: Progress, dry_run: bool, as_json: bool
) -> None:
    if as_json:
        facts = asdict(result)
        del facts["phase"], facts["passed"], facts["total"]  # They say that it is done.
        facts["complete"] = result.complete
        emit({**facts, "dry_run": dry_run, "seconds": progress.seconds})
    else:
        for line in _lines(result, progress, dry_run):
            say(line)
    if result.unreadable or result.differing or result.refused or result.mismatches:
        ctx.exit(exit_codes.NO)


def _lines(result: Loaded, progress: Progress, dry_run: bool) -> list[str]:
    wrote = "would write" if dry_run else "wrote"
    read = f"read {many(result.memories, 'memory', 'memories')} and "
    read += f"{many(result.summaries, 'summary', 'summaries')} in {progress.rate()}"
    lines = [read, f"{wrote} {many(result.new, 'new row')}"]
    lines += _exceptions(result)
    if dry_run:
        return [*lines, "dry run: nothing was written"]
    if result.mismatches:
        lines.append("NOT VERIFIED: the destination differs from what was written")
        for found in result.mismatches[:10]:
            expected, actual = found["expected"], found["found"]
            what = f"{found['differs']} differ; rows expected {expected:,}, found {actual:,}"
            lines.append(f"  user {shown_user(found['user_id'])}: {what}")
        return lines
    checked = f"verified: counts and checksums of {many(result.users, 'user')} agree"
    return [*lines, checked]


def _named(rows: Sequence[Mapping[str, str | None]]) -> list[str]:
    return [f"  {_name(row)}: {one_line(row['reason'] or '')}" for row in rows[:10]]


def _name(row: Mapping[str, str | None]) -> str:
    """Return how a row of a result is named: by its id, and by its user where that is told."""
    id = one_line(row["id"] or "", 100)
    return f"{id} of {one_line(shown_user(row['user_id']), 60)}" if "user_id" in row else id


def _exceptions(result: Loaded) -> list[str]:
    lines: list[str] = []
    if result.same:
        lines.append(f"skipped {many(result.same, 'row')}: there already, with equal content")
    if result.retimed:
        rows = many(result.retimed, "of these has", "of these have")
        lines.append(f"note: {rows} other times there, which were left as they are")
    if result.overwritten:
        lines.append(f"overwrote {many(result.overwritten, 'row')}")
    if result.differing:
        names = ", ".join(map(_name, result.differing_rows[:5]))
        more = "…" if result.differing > 5 else ""
        rows = many(result.differing, "row")
        lines.append(f"left alone {rows}, there with other content: {names}{more}")
    if result.refused:
        lines.append(f"left out {many(result.refused, 'row')} that the destination cannot store:")
        lines += _named(result.refused_rows)
    if result.unreadable:
        named = result.unreadable_rows
        lines.append(f"left out {many(result.unreadable, 'row')} that cannot be read")
        lines[-1] += ":" if named else " (named above)"
        lines += _named(named)
    if result.ended:
        lines.append(f"note: {many(result.ended, 'row')} came to an end meanwhile")
    if result.without_end:
        rows = many(result.without_end, "row")
        lines.append(f"note: {rows} had an end and will not end there: it keeps none")
    if result.restarted_versions:
        rows = many(result.restarted_versions, "row")
        lines.append(f"note: versions start again at 1 for {rows}; this backend counts its own")
    return lines
