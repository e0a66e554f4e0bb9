"""Items that hold what rule R8 refuses, and rows that another program wrote."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from buddy.memory import MemoryRow, open_memory_db
from buddy.memory.errors import InvalidMemoryError
from buddy.memory.testing.assertions import logged
from buddy_memory_openai import BuddySession

SCOPE = "openai/ann/monday/"


def said(text: str) -> Any:
    return {"role": "user", "content": text}


def deep() -> Any:
    value: Any = "\ud83d \0"
    for _ in range(100):
        value = [value]
    return value


@pytest.mark.parametrize("value", [2**80, math.inf, deep()], ids=["int", "inf", "100 levels"])
def test_values_outside_rule_8(url: str, value: Any) -> None:
    """An item with a value that rule R8 refuses keeps its place, and is read back equal."""

    async def go() -> None:
        async with BuddySession("monday", url, user_id="ann") as session:
            odd: Any = {"type": "function_call_output", "call_id": "1", "output": value}
            await session.add_items([said("1"), odd, said("3")])
            assert await session.get_items() == [said("1"), odd, said("3")]
            assert await session.pop_item() == said("3")
            assert await session.pop_item() == odd

    asyncio.run(go())


def test_what_is_no_json(url: str) -> None:
    """An item that no JSON can hold is refused with its path, and no other of the call is stored,
    as in the SDK's own sessions."""

    async def go() -> None:
        async with BuddySession("monday", url, user_id="ann") as session:
            odd: Any = {"output": {1}}
            with pytest.raises(InvalidMemoryError, match=r"memory\.item\.output"):
                await session.add_items([said("1"), odd])
            assert await session.get_items() == []

    asyncio.run(go())


@pytest.mark.parametrize(
    "payload",
    [{"memory": "tea"}, {"item_json": "{"}, {"item_json": 5}],
    ids=["other keys", "no JSON text", "no text"],
)
def test_rows_of_others(url: str, payload: dict[str, Any]) -> None:
    """A row that another program wrote is skipped with one warning, takes no item's place, and is
    not taken away."""

    async def go() -> None:
        async with BuddySession("monday", url, user_id="ann") as session:
            with open_memory_db(url) as db:
                for number in range(3):
                    await session.add_items([said(str(number))])
                    db.upsert_memory(MemoryRow(payload, f"other {number}", SCOPE))
                with logged() as warnings:
                    assert await session.get_items() == [said("0"), said("1"), said("2")]
                assert len(warnings) == 3
                assert all(f"'other {n}'" in warnings[2 - n] for n in range(3))
                assert await session.get_items(2) == [said("1"), said("2")]
                taken = [await session.pop_item() for _ in range(4)]
                assert taken == [said("2"), said("1"), said("0"), None]
                assert [row.memory for row in db.read_memories(SCOPE)] == [payload] * 3

    asyncio.run(go())
