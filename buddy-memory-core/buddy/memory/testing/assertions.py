"""Small tools of the checks; pytest is not needed to run them."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from threading import Barrier
from typing import Any, TypeVar

from buddy.memory.storage import clock as store_clock

E = TypeVar("E", bound=BaseException)
T = TypeVar("T")


def raises(kind: type[E], call: Callable[..., Any], *args: Any, **kwargs: Any) -> E:
    """Return the error of ``kind`` that the call raises; fail when it returns or raises another."""
    try:
        result = call(*args, **kwargs)
        if hasattr(result, "__next__"):
            result = list(result)  # A lazy iterator may raise when it is used.
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised; the call returned {result!r:.200}")


@contextmanager
def clock(now: datetime) -> Generator[None]:
    """Make every store believe that it is ``now``."""
    real = store_clock.utc_now
    store_clock.utc_now = lambda: now
    try:
        yield
    finally:
        store_clock.utc_now = real


@contextmanager
def logged(*, everything: bool = False) -> Generator[list[str]]:
    """Collect the warnings that buddy.memory logs, or what anybody logs at any level."""
    messages: list[str] = []
    level = logging.DEBUG if everything else logging.WARNING

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= level:
                messages.append(record.getMessage())

    logger, handler = logging.getLogger(None if everything else "buddy.memory"), Handler()
    before = logger.level
    logger.addHandler(handler)
    if everything:
        logger.setLevel(level)
    try:
        yield messages
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)


def at_once(count: int, call: Callable[[int], T]) -> list[T]:
    """Call ``call(0)`` … ``call(count - 1)`` in as many threads; return the results in order."""
    start = Barrier(count)

    def wait_and_call(n: int) -> T:
        start.wait()
        return call(n)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(wait_and_call, range(count)))


def in_a_child(call: Callable[[], object], meanwhile: Callable[[], object] = lambda: None) -> bool:
    """Call in a forked process, and ``meanwhile`` in this one; fail where the child fails. False
    where this system has no fork."""
    if not hasattr(os, "fork"):
        return False
    child = os.fork()
    if child == 0:
        status = 1
        try:
            call()
            status = 0
        finally:
            os._exit(status)
    meanwhile()
    assert os.waitpid(child, 0)[1] == 0, "the child failed"
    return True
