"""Rows in batches, and the next batch read while one is written."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from itertools import islice
from typing import TypeVar

from buddy.memory.errors import MemoryDbError
from buddy.memory.storage.threads import is_at_exit

T = TypeVar("T")

BATCH = 1_000
"""Rows of one write."""


def batches(rows: Iterator[T]) -> Generator[list[T], None, None]:
    """Yield the rows in batches; what came before an error comes out before the error does."""
    batch: list[T] = []
    failure: MemoryDbError | None = None
    while True:
        try:
            batch.extend(islice(rows, BATCH - len(batch)))
        except MemoryDbError as error:
            failure = error
        if batch:
            yield batch
        if failure is not None:
            raise failure
        if len(batch) < BATCH:
            return
        batch = []


def ahead(coming: Iterator[list[T]]) -> Generator[list[T], None, None]:
    """Yield the batches; a thread fetches the next one while the caller has one.

    Close it when the caller fails: that waits for the thread.
    """
    with ThreadPoolExecutor(1, "buddy-memory-ahead") as pool:
        context = copy_context()  # Plugins keep there on whose behalf a database is used.

        def fetch() -> list[T]:
            return next(coming, [])

        batch = fetch()
        while batch:
            try:
                following = pool.submit(context.run, fetch)
            except RuntimeError as error:
                if not is_at_exit(error):
                    raise
                yield batch
                batch = fetch()
            else:
                yield batch
                batch = following.result()
