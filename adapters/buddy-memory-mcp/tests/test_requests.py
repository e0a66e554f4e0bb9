"""Whose a request is, what its client is told, and what make_server takes."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client
from mcp.server.mcpserver.exceptions import ToolError
from mcp.shared.exceptions import MCPError

from buddy.memory import MemoryRow, SummaryRow, open_async_memory_db, open_memory_db
from buddy.memory.errors import ConfigError
from buddy.memory.receipt import is_intact
from buddy_memory_mcp import make_server

CALLS: dict[str, dict[str, Any]] = {
    "recall": {"query": "tea"},
    "list": {},
    "read_summary": {"session_id": "s"},
    "remember": {"text": "x"},
    "update": {"id": "a", "text": "x", "version": 1},
    "save_summary": {"session_id": "s", "text": "x"},
    "forget": {"id": "a"},
    "forget_me": {},
}
CUT = "cut \ud83d"


def ann() -> str:
    return "ann"


def no_user() -> str:
    raise ToolError("nobody is signed in")


async def ann_later() -> str:
    return "ann"


async def answer(client: Client, tool: str, **arguments: Any) -> Any:
    """Return what a tool returns, or the text of its error."""
    result = await client.call_tool(tool, arguments)
    content = result.structured_content or {}
    return result.content[0].text if result.is_error else content.get("result", content)  # type: ignore[union-attr]


async def resource(client: Client, uri: str) -> Any:
    """Return what a resource holds, or the text of the error."""
    try:
        return json.loads((await client.read_resource(uri)).contents[0].text)  # type: ignore[union-attr]
    except MCPError as error:
        return error.error.message


@pytest.mark.parametrize("whose", [lambda: None, lambda: "", lambda: 5, lambda: b"ann", no_user])
def test_no_user(url: str, whose: Callable[[], Any]) -> None:
    """Where whose() names no user, every tool and resource is refused, and no row is touched."""
    with open_memory_db(url) as db:
        for row in (MemoryRow({"memory": "tea"}, "a", "ann"), MemoryRow({"memory": "tea"}, "n")):
            db.upsert_memory(row)

        async def go() -> None:
            async with Client(make_server(url, whose)) as client:
                for tool, arguments in CALLS.items():
                    told = await answer(client, tool, **arguments)
                    assert "names no user" in told or "signed in" in told, told
                for uri in ("memory://me", "memory://a"):
                    told = await resource(client, uri)
                    assert "names no user" in told or "signed in" in told, told

        asyncio.run(go())
        assert [(row.id, row.version) for row in db.read_memories()] == [("n", 1), ("a", 1)]
        assert db.read_summaries() == []


def test_half_characters_sent(url: str) -> None:
    """Half of a character that a model sends is refused, and nothing is stored."""
    with open_memory_db(url) as db:
        db.upsert_memory(MemoryRow({"memory": "Likes tea."}, "a", "ann"))

        async def go() -> None:
            async with Client(make_server(url, ann)) as client:
                for tool, arguments in [
                    ("remember", {"text": CUT}),
                    ("remember", {"text": "x", "topics": [CUT]}),
                    ("update", {"id": "a", "text": CUT, "version": 1}),
                    ("save_summary", {"session_id": "s", "text": CUT}),
                    ("save_summary", {"session_id": CUT, "text": "x"}),
                    ("forget", {"id": CUT}),
                ]:
                    assert "surrogate" in await answer(client, tool, **arguments)
                assert await answer(client, "recall", query=CUT) == []

        asyncio.run(go())
        assert [row.memory for row in db.read_memories("ann")] == [{"memory": "Likes tea."}]
        assert db.read_summaries() == []


def test_an_empty_query(url: str) -> None:
    """A search for nothing says which tool shows all."""

    async def go() -> None:
        async with Client(make_server(url, ann)) as client:
            assert 'use "list"' in await answer(client, "recall", query=" ")

    asyncio.run(go())


def test_the_receipt_names_no_place(url: str) -> None:
    """The receipt that a client gets names neither server nor file, and its checksum fits."""
    with open_memory_db(url) as db:
        db.upsert_memory(MemoryRow({"memory": "Likes tea."}, "a", "ann"))
        db.upsert_summary(SummaryRow({"summary": "x"}, "s", "ann"))

        async def go() -> None:
            async with Client(make_server(db, ann)) as client:
                receipt = await answer(client, "forget_me")
                assert receipt["user_id"] == "ann"
                assert (receipt["memories_erased"], receipt["summaries_erased"]) == (1, 1)
                assert receipt["verified"] is True
                assert is_intact(receipt)
                assert receipt["store"] == type(db).__name__
                assert not set("/@=") & set(json.dumps(receipt))
                assert "127.0.0.1" not in json.dumps(receipt)

        asyncio.run(go())


def test_a_receipt_of_a_failure(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Why an erasure could not be ended is for the server's log; the receipt says that it was."""
    file = tmp_path / "memory.db"
    with open_memory_db(f"sqlite:///{file}") as db:
        db.upsert_memory(MemoryRow({"memory": "Likes tea."}, "a", "ann"))
        db.upsert_summary(SummaryRow({"summary": "x"}, "s", "ann"))
    with sqlite3.connect(file) as raw:
        raw.execute(
            "CREATE TRIGGER refused BEFORE DELETE ON memory_summaries "
            "BEGIN SELECT RAISE(ABORT, 'refused by /srv/secret'); END"
        )
    raw.close()

    async def go() -> None:
        async with Client(make_server(f"sqlite:///{file}", ann)) as client:
            receipt = await answer(client, "forget_me")
            assert receipt["verified"] is False
            assert receipt["memories_erased"] == 1
            assert receipt["reason"]
            assert "secret" not in json.dumps(receipt)
            assert is_intact(receipt)

    asyncio.run(go())
    assert "/srv/secret" in caplog.text


@pytest.mark.parametrize(
    "url", ["redis://:hunter2@127.0.0.1:1", "postgresql://u:hunter2@127.0.0.1:1/d?table_name=t"]
)
def test_an_outage_names_no_place(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Tools and resources tell of an outage; where the database is, only the server's log tells."""

    async def go() -> None:
        async with Client(make_server(url, ann)) as client:
            told = [await answer(client, tool, **arguments) for tool, arguments in CALLS.items()]
            told += [await resource(client, uri) for uri in ("memory://me", "memory://a")]
            for text in told:
                assert "UnavailableError" in text
                assert "try again later" in text
                assert "127.0.0.1" not in text

    asyncio.run(go())
    assert "127.0.0.1" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_wrong_file_names_no_place(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is wrong with the server is for its log; clients learn that something is."""
    (tmp_path / "notes.db").write_text("no database, " * 100)

    async def go() -> None:
        async with Client(make_server(f"sqlite:///{tmp_path}/notes.db", ann)) as client:
            told = await answer(client, "list")
            assert "SchemaError" in told
            assert "log of the server" in told

    asyncio.run(go())
    assert "not a database" in caplog.text


def test_what_make_server_takes(tmp_path: Path) -> None:
    """A config, a mapping and databases of either side; one that was handed in stays open."""
    url = f"sqlite:///{tmp_path}/memory.db"

    async def use(db: Any) -> None:
        async with Client(make_server(db, ann)) as client:
            assert isinstance(await answer(client, "remember", text="Likes tea."), dict)

    async def go() -> None:
        await use(url)
        await use({"url": url})
        with open_memory_db(url) as sync_db:
            await use(sync_db)
            await use(sync_db)
        async with open_async_memory_db(url) as db:
            await use(db)
            await use(db)
            assert len(await db.read_memories("ann")) == 6

    asyncio.run(go())


@pytest.mark.parametrize(
    ("db", "whose", "error"),
    [
        (None, ann, TypeError),
        (5, ann, TypeError),
        ("no such backend", ann, ConfigError),
        ("memory://", "ann", TypeError),
        ("memory://", None, TypeError),
        ("memory://", ann_later, TypeError),
    ],
)
def test_what_make_server_refuses(db: Any, whose: Any, error: type[Exception]) -> None:
    """Anything else is refused when the server is made."""
    with pytest.raises(error):
        make_server(db, whose)
