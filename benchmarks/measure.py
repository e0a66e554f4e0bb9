"""Timing: every side in turn, round after round, and the medians of the rounds."""

from __future__ import annotations

import asyncio
import gc
import inspect
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, NamedTuple

ROUNDS = 15
SECONDS = 0.03
"""About how long one side takes in one round: many short ones, so that what else the machine does
falls on both sides of a ratio."""

FEW_ROUNDS = 5
SLOW = 0.1
"""Seconds for one call from which on few rounds have to do."""

MOST = 100
"""The most calls in a round; few enough to leave the size of the store what it was."""

TOO_LONG = 3.0
"""Seconds for one call after which once is enough."""

loop = asyncio.new_event_loop()
"""The one on which all asynchronous sides live."""


class Operation(NamedTuple):
    """``call(side, given)`` is timed; ``given`` is an item of ``prepare(side, times)``, which is
    not. ``times`` fixes how many calls a round has."""

    name: str
    needs: str
    call: Callable[[Any, Any], Any]
    prepare: Callable[[Any, int], Sequence[Any]]
    times: int | None = None


def finish(given: Any) -> Any:
    """Return a value, or what an awaitable comes to."""

    async def awaited() -> Any:
        return await given

    return loop.run_until_complete(awaited()) if inspect.isawaitable(given) else given


def seconds(operation: Operation, side: Any, times: int) -> float:
    """Time so many calls, one after the other."""
    given = operation.prepare(side, times)
    call = operation.call
    gc.collect()

    async def awaited() -> float:
        start = time.perf_counter()
        for item in given:
            await call(side, item)
        return time.perf_counter() - start

    if side.asynchronous:
        return loop.run_until_complete(awaited())
    start = time.perf_counter()
    for item in given:
        call(side, item)
    return time.perf_counter() - start


def rounds(
    operation: Operation, sides: Sequence[Any], number: int = ROUNDS
) -> list[dict[str, Any]]:
    """Measure one operation on all sides: a result for each, in microseconds for each call.

    ``ratio`` is the median of the rounds' ratios to the limit of the same kind, synchronous or
    asynchronous: a machine that becomes slower half-way favours nobody. A side that cannot has
    ``missing``, which says why.
    """
    results, able, slow = {}, [], False
    for side in sides:
        if getattr(side, operation.needs) is None:
            results[side.name] = {"missing": "it has no such call"}
            continue
        try:
            seconds(operation, side, 1)  # The first call has to learn something everywhere.
            once = seconds(operation, side, operation.times or 2) / (operation.times or 2)
        except Exception as error:
            results[side.name] = {"missing": reason(error)}
            continue
        if once > TOO_LONG:
            results[side.name] = {"us": once * 1e6, "ratio": None, "rounds": 1, "calls": 1}
            continue
        slow |= once > SLOW
        able.append((side, operation.times or max(1, min(MOST, int(SECONDS / once)))))
    number = min(number, FEW_ROUNDS) if slow else number
    taken: dict[str, list[float]] = {side.name: [] for side, _ in able}
    for turn in range(number):
        for side, times in able[turn % len(able) :] + able[: turn % len(able)] if able else []:
            taken[side.name].append(seconds(operation, side, times) / times * 1e6)
    for side, times in able:
        mine = taken[side.name]
        limit = taken.get("by hand, async" if side.asynchronous else "by hand")
        ratio = median(a / b for a, b in zip(mine, limit, strict=True)) if limit else None
        results[side.name] = {"us": median(mine), "ratio": ratio, "rounds": number, "calls": times}
    return [
        {"operation": operation.name, "side": side.name, **results[side.name]} for side in sides
    ]


def reason(error: BaseException) -> str:
    """Return the first sentence of an error, for a table."""
    text = str(error).partition("\n")[0].partition(". ")[0]
    return f"{type(error).__name__}: {text:.100}"
