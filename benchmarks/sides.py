"""What is compared: every side stores the same rows, through the same few calls.

A side is a class with ``name`` (as in the tables), ``store`` (sides with the same one share their
rows), ``asynchronous`` (its methods are awaited) and the methods of ``Side``. What a library cannot
do is None there, and the tables say so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Any, ClassVar, Protocol

from buddy.memory import open_async_memory_db, open_memory_db
from buddy.memory.v2.db.schema import MemoryRow

Row = tuple[str, str, dict[str, Any]]
"""Id, user id, payload."""

PAGE = 100
"""Rows in a page, where a side reads page by page."""


def payload(n: int) -> dict[str, Any]:
    """Return a memory of ordinary size."""
    return {
        "memory": f"The user said for the {n}th time that they like tea and walks by the river",
        "topics": ["tea", "walks"],
        "last_updated": "2026-01-01T00:00:00+00:00",
        "score": n / 7,
    }


class Side(Protocol):
    """One way to store memories. ``where`` is the server's address, ``name`` one for its table."""

    name: ClassVar[str]
    store: ClassVar[str]
    asynchronous: ClassVar[bool]

    def __init__(self, where: str, name: str) -> None: ...
    def open(self) -> Any: ...
    def create(self) -> Any: ...
    def put(self, id: str, user: str, memory: dict[str, Any]) -> Any: ...
    def put_many(self, rows: list[Row]) -> Any: ...
    def exists(self, id: str, user: str) -> Any: ...
    def get(self, id: str, user: str) -> Any: ...
    def newest(self, user: str, limit: int) -> Any: ...
    def page(self, user: str | None) -> Any:
        """Go through all rows of a user (None: of all users) and return how many there are."""

    def delete(self, id: str, user: str) -> Any: ...
    def close(self) -> Any: ...


class Ours:
    """This project, opened by a config string."""

    name = "buddy-memory"
    store = "ours"
    asynchronous = False
    url: ClassVar[Callable[[str, str], str]]

    def __init__(self, where: str, name: str) -> None:
        self.config = type(self).url(where, name)

    def open(self) -> None:
        self.db = open_memory_db(self.config)

    def create(self) -> Any:
        return self.db.create()

    def put(self, id: str, user: str, memory: dict[str, Any]) -> Any:
        return self.db.upsert_memory(MemoryRow(memory, id, user))

    def put_many(self, rows: list[Row]) -> Any:
        return self.db.upsert_memories([MemoryRow(memory, id, user) for id, user, memory in rows])

    def exists(self, id: str, user: str) -> Any:
        return self.db.memory_exists(MemoryRow({}, id, user))

    def get(self, id: str, user: str) -> Any:
        return self.db.read_memory(id, user_id=user)

    def newest(self, user: str, limit: int) -> Any:
        return self.db.read_memories(user, limit=limit)

    def page(self, user: str | None) -> Any:
        return sum(1 for _ in self.db.iter_memories(user, page_size=PAGE))

    def delete(self, id: str, user: str) -> Any:
        return self.db.delete_memory(id, user_id=user)

    def close(self) -> Any:
        return self.db.close()


class OursAsync(Ours):
    """The same calls, awaited."""

    name = "buddy-memory, async"
    asynchronous = True

    def open(self) -> None:
        self.db: Any = open_async_memory_db(self.config)

    async def page(self, user: str | None) -> int:
        return sum([1 async for _ in self.db.iter_memories(user, page_size=PAGE)])


def ours(url: Callable[[str, str], str]) -> list[type[Any]]:
    """Return both of our sides; ``url`` makes a config string of where and name."""
    members = {"url": staticmethod(url)}
    return [type("Ours", (Ours,), members), type("OursAsync", (OursAsync,), members)]


def in_threads(side: type[Any]) -> type[Any]:
    """Return the asynchronous twin of a side whose driver blocks: each call in a thread."""

    def method(name: str) -> Callable[..., Any]:
        async def call(self: Any, *arguments: Any) -> Any:
            return await asyncio.to_thread(getattr(super(twin, self), name), *arguments)

        return call

    methods = ("open", "create", "put", "put_many", "exists", "get", "newest", "page", "delete")
    members: dict[str, Any] = {name: method(name) for name in methods if getattr(side, name)}
    twin = type(side.__name__ + "Async", (side,), {**members, "asynchronous": True})
    twin.name = side.name + ", async"
    return twin


_numbers = count()


def fresh(rows: int, user: Callable[[int], str]) -> list[Row]:
    """Return so many rows whose ids no side has seen."""
    return [(f"new-{next(_numbers)}", user(n), payload(n)) for n in range(rows)]


def standing(rows: int) -> Iterator[list[Row]]:
    """Yield, in batches, the rows that a store holds: 1,000 users, and one with 1,000 rows."""
    batch = 10_000
    for start in range(0, rows, batch):
        numbers = range(start, min(rows, start + batch))
        yield [(f"id-{n}", f"user-{n % 1000}", payload(n)) for n in numbers]
    yield [(f"one-{n}", "one", payload(n)) for n in range(1000)]


def chunks(rows: list[Row], size: int) -> Iterable[list[Row]]:
    """Cut the rows into batches."""
    return (rows[start : start + size] for start in range(0, len(rows), size))
