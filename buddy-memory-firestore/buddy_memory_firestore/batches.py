"""Batches of writes, each of which is done or not, sent until each is settled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from buddy_memory_firestore.calls import Calls
from buddy_memory_firestore.deadline import Deadline
from buddy_memory_firestore.errors import PreconditionFailed, is_transient, of_status, translate

T = TypeVar("T")

MAX_WRITES = 500
"""Writes in one request."""
MAX_BYTES = 8 * 1024 * 1024
"""Bytes of the writes in one request, under the service's 10 MiB."""


class Done(NamedTuple):
    """The writes that were done, with their time of update, and those that were refused."""

    stored: dict[int, Any]
    refused: list[int]


async def send(calls: Calls, writes: Sequence[Any], done: Done | None = None) -> Done:
    """Send writes on distinct documents until each was done or refused by its precondition.

    When one failed in any other way the error is raised; ``done``, if given, holds the others.
    """
    done = Done({}, []) if done is None else done
    left = list(range(len(writes)))
    deadline = Deadline(calls.connection.timeout)
    while left:
        statuses, times = await calls.batch([writes[i] for i in left])
        failed: dict[int, Exception] = {}
        for i, status, time in zip(left, statuses, times, strict=True):
            if status.code == 0:
                done.stored[i] = time
                continue
            error = of_status(status.code, status.message)
            if isinstance(translate(error), PreconditionFailed):
                done.refused.append(i)
            else:
                failed[i] = error
        await _wait(calls, deadline, list(failed.values()))
        left = list(failed)
    return done


async def _wait(calls: Calls, deadline: Deadline, errors: list[Exception]) -> None:
    if not errors:
        return
    final = [error for error in errors if not is_transient(error)]
    pause = None if final else deadline.pause()
    if pause is None:
        error = (final or errors)[0]
        raise translate(error) or error from error
    await calls.connection.pause(pause)


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield the items in lists of at most ``size``."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
