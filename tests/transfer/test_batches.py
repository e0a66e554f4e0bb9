"""Rows are moved in batches, and a thread reads the next one while one is written."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from contextvars import ContextVar
from typing import Any

import pytest

from buddy.memory import open_memory_db
from buddy.memory.errors import UnavailableError
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.transfer import copy
from buddy.memory.transfer.batches import BATCH, ahead, batches
from buddy.memory.v2.db.schema import MemoryRow
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb

PATIENCE = 30
"""Seconds after which a wait has failed."""


def test_what_came_before_an_error_comes_out_before_the_error() -> None:
    """The rows that were read are a batch of their own."""

    def rows() -> Iterator[int]:
        yield from range(BATCH + 2)
        raise UnavailableError("the source", "gone")

    found = batches(rows())
    assert [len(next(found)), len(next(found))] == [BATCH, 2]
    with pytest.raises(UnavailableError):
        next(found)


@pytest.mark.parametrize("number", [0, 1, BATCH, BATCH + 1, 3 * BATCH])
def test_all_rows_come_in_their_order(number: int) -> None:
    """Nothing is lost at the edges of a batch."""
    found = list(ahead(batches(iter(range(number)))))
    assert [row for batch in found for row in batch] == list(range(number))
    assert all(len(batch) == BATCH for batch in found[:-1])


def test_the_next_batch_is_read_meanwhile() -> None:
    """While a caller has the first batch, the second one comes."""
    second = threading.Event()

    def coming() -> Iterator[list[int]]:
        yield [1]
        second.set()
        yield [2]

    found = ahead(coming())
    assert next(found) == [1]
    assert second.wait(PATIENCE)
    assert list(found) == [[2]]


def test_it_reads_in_the_context_of_the_caller() -> None:
    """A plugin that asks on whose behalf it works is told the same in the thread."""
    caller: ContextVar[str] = ContextVar("caller", default="nobody")
    caller.set("ann")

    def coming() -> Iterator[list[str]]:
        for _ in range(3):
            yield [caller.get()]

    assert list(ahead(coming())) == [["ann"]] * 3


def test_no_thread_is_left_when_the_caller_fails() -> None:
    """Closing it waits for what the thread does."""

    def names() -> set[str]:
        return {t.name for t in threading.enumerate() if t.name.startswith("buddy-memory-ahead")}

    with suppress(KeyError), closing(ahead(iter([[1], [2], [3]]))) as found:
        for _ in found:
            assert names()
            raise KeyError
    assert not names()


def test_a_copy_reads_ahead(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source is read while the destination writes."""
    pages, read_two = 0, threading.Event()
    original: Callable[..., Any] = InMemoryStore.page

    async def page(self: InMemoryStore, *args: Any, **kwargs: Any) -> Any:
        nonlocal pages
        pages += 1
        if pages * kwargs["limit"] > BATCH:
            read_two.set()
        return await original(self, *args, **kwargs)

    def written(so_far: Any) -> None:
        assert not so_far.rows or read_two.wait(PATIENCE)

    with (
        StoreBackedMemoryDb(InMemoryStore()) as source,
        open_memory_db(f"sqlite:///{tmp_path}/new.db") as new,
    ):
        source.upsert_memories(MemoryRow({"memory": "x"}) for _ in range(2 * BATCH))
        monkeypatch.setattr(InMemoryStore, "page", page)
        assert copy(source, new, progress=written).complete
