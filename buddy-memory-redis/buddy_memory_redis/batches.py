"""Many rows in commands and pipelines of bounded size: a server holds each of them in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from buddy_memory_redis.rows import Put

T = TypeVar("T")

COMMANDS = 100
"""Commands in one pipeline at most."""

BYTES = 4 * 1024 * 1024
"""Payload in one command, more or less."""

IDS = 500
"""Ids in one command at most: a script holds up the server for as long as it runs."""


def itself(put: Put) -> Put:
    """Return the write: where the items are writes."""
    return put


def bounded(
    items: Iterable[T], rows: int, size: int, put_of: Callable[[T], Put]
) -> Iterator[list[T]]:
    """Yield the writes in lists of at most so many rows, and about so many bytes."""
    some: list[T] = []
    total = 0
    for item in items:
        some.append(item)
        total += len(put_of(item).text)
        if len(some) == rows or total > size:
            yield some
            some, total = [], 0
    if some:
        yield some


def pipelines(
    items: Sequence[T], group: Callable[[T], object], put_of: Callable[[T], Put]
) -> Iterator[list[list[T]]]:
    """Yield what goes into one pipeline: lists of writes of one group, a command each."""
    if len(items) == 1:
        yield [list(items)]
        return
    groups: dict[object, list[T]] = {}
    for item in items:
        groups.setdefault(group(item), []).append(item)
    batch: list[list[T]] = []
    size = 0
    for members in groups.values():
        for some in bounded(members, IDS, BYTES, put_of):
            batch.append(some)
            size += sum(len(put_of(item).text) for item in some)
            if len(batch) == COMMANDS or size > BYTES:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch


def grouped(items: Iterable[T], by: Callable[[T], Any]) -> list[tuple[Any, list[T]]]:
    """Return the items of each group, in order, IDS at most; a larger group comes several times."""
    groups: dict[Any, list[list[T]]] = {}
    for item in items:
        lists = groups.setdefault(by(item), [[]])
        if len(lists[-1]) == IDS:
            lists.append([])
        lists[-1].append(item)
    return [(key, members) for key, lists in groups.items() for members in lists]
