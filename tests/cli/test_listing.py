"""Long listings: printed as their rows come, so that they take no memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from buddy.memory import open_memory_db
from buddy.memory.cli import row_output
from buddy.memory.cli.output import emit_each, listing
from buddy.memory.cli.wide import PAGE
from buddy.memory.storage.memory_methods import PAGE_SIZE
from buddy.memory.storage.sql import SqlStore
from buddy.memory.v2.db.schema import MemoryRow
from tests.cli.conftest import Run


def as_table(rows: Iterable[str]) -> None:
    listing(("Id", "Text"), ((row, "text") for row in rows))


@pytest.mark.parametrize("show", [as_table, emit_each])
@pytest.mark.parametrize("columns", ["80", ""])
def test_rows_are_printed_as_they_come(
    show: Callable[[Iterable[str]], None],
    columns: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When the second page is read, the first one has been printed, on a terminal and in a pipe."""
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    else:
        monkeypatch.delenv("COLUMNS", raising=False)

    def rows() -> Iterator[str]:
        yield from (f"row-{n}-" for n in range(PAGE))
        yield "one more"
        assert f"row-{PAGE - 1}-" in capsys.readouterr().out

    show(rows())
    assert "]" in capsys.readouterr().out or show is as_table


@pytest.mark.parametrize("values", [[], [1], [{"a": [], "b": "\n"}, {"c": {"d": ["\ud800é"]}}]])
def test_a_streamed_document_is_one(values: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    """It is written as the list would be."""
    emit_each(iter(values))
    assert capsys.readouterr().out == json.dumps(values, indent=2) + "\n"


def test_a_wide_row_after_many_narrow_ones_is_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The columns are as wide as in the first page; what is wider stands out, uncut."""
    monkeypatch.delenv("COLUMNS", raising=False)
    as_table([*["narrow"] * PAGE, "w" * 50])
    lines = capsys.readouterr().out.splitlines()
    assert lines[3] == " narrow   text"
    assert lines[-2] == f" {'w' * 50}   text"


@pytest.mark.parametrize("options", [(), ("--json",)])
@pytest.mark.parametrize("many", [("--all",), ("--limit", "3000")])
def test_all_rows_are_read_in_pages(
    run: Run, url: str, options: tuple[str, ...], many: tuple[str, ...]
) -> None:
    """Every row is there once, newest first, however many pages that takes."""
    with open_memory_db(url) as db:
        db.upsert_memories(MemoryRow({"memory": "x"}, f"id{n}", "ann") for n in range(2_345))
    ran = run("ls", url, *many, *options)
    wanted = [f"id{n}" for n in range(2_344, -1, -1)]
    if options:
        assert [row["id"] for row in ran.json] == wanted
    else:
        assert [word for word in ran.out.split() if word.startswith("id")] == wanted
        assert "2,345 of 2,345 memories" in ran.out


@pytest.mark.parametrize(("options", "printer"), [((), "listing"), (("--json",), "emit_each")])
def test_a_page_is_read_when_its_rows_are_printed(
    run: Run, url: str, options: tuple[str, ...], printer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What prints asks for the rows, and not more of them than it prints."""
    pages = 0
    original: Callable[..., Any] = SqlStore.page

    async def page(self: SqlStore, *args: Any, **kwargs: Any) -> Any:
        nonlocal pages
        pages += 1
        return await original(self, *args, **kwargs)

    with open_memory_db(url) as db:
        db.upsert_memories(MemoryRow({"memory": "x"}) for _ in range(3 * PAGE_SIZE))
    monkeypatch.setattr(SqlStore, "page", page)
    monkeypatch.setattr(row_output, printer, lambda *args: next(args[-1]))
    assert run("ls", url, "--all", *options).code == 0
    assert pages == 1
