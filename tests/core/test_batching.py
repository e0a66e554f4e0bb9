"""Concurrent calls of one event loop are sent in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from buddy.memory.errors import UnavailableError
from buddy.memory.storage.batching import Batcher

TURNS = 3
"""How many turns of the event loop a batch takes."""


class Doubling:
    """Doubles numbers and notes the batches; a negative one is refused, and 13 breaks it."""

    def __init__(self, max_batch: int = 3, max_in_flight: int = 1) -> None:
        self.batches: list[list[int]] = []
        self.in_flight = self.most_in_flight = 0
        self.batcher: Batcher[int, int] = Batcher(self.run_batch, max_batch, max_in_flight)

    async def run_batch(self, numbers: list[int]) -> Sequence[int | Exception]:
        self.batches.append(numbers)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            for _ in range(TURNS):
                await asyncio.sleep(0)
            if 13 in numbers:
                raise UnavailableError("Thirteen", "no luck")
            return [ValueError(str(n)) if n < 0 else 2 * n for n in numbers]
        finally:
            self.in_flight -= 1

    async def submit_all(self, numbers: Sequence[int]) -> list[int | BaseException]:
        return await asyncio.gather(*map(self.batcher.submit, numbers), return_exceptions=True)


def test_single_calls() -> None:
    """A call that is alone runs at once, in the task of its caller."""
    doubling = Doubling()

    async def main() -> None:
        for n in range(3):
            assert await doubling.batcher.submit(n) == 2 * n
        with pytest.raises(ValueError, match="-1"):
            await doubling.batcher.submit(-1)
        with pytest.raises(UnavailableError):
            await doubling.batcher.submit(13)

    asyncio.run(main())
    assert doubling.batches == [[0], [1], [2], [-1], [13]]


def test_batches() -> None:
    """Calls made while one is in flight are sent in bounded batches; each gets its result."""
    doubling = Doubling()
    assert asyncio.run(doubling.submit_all(range(8))) == [0, 2, 4, 6, 8, 10, 12, 14]
    assert doubling.batches == [[0], [1, 2, 3], [4, 5, 6], [7]]
    assert doubling.most_in_flight == 2  # The first call alone, and one batch.


def test_batches_in_flight() -> None:
    """No more batches than max_in_flight are sent at once, beside a call that runs alone."""
    doubling = Doubling(max_batch=1, max_in_flight=3)
    asyncio.run(doubling.submit_all(range(20)))
    assert doubling.most_in_flight == 4


def test_an_exception_of_one_call() -> None:
    """An exception for one call does not touch the others of its batch."""
    found = asyncio.run(Doubling().submit_all([0, 1, -2, 3]))
    assert [type(one) for one in found] == [int, int, ValueError, int]


def test_a_failed_batch() -> None:
    """A batch that fails raises an exception of its own for each of its calls; later calls run."""
    doubling = Doubling()
    found = asyncio.run(doubling.submit_all([0, 1, 13, 3, 4]))
    assert [type(one) for one in found] == [int, *[UnavailableError] * 3, int]
    assert len(set(map(id, found[1:4]))) == 3
    assert str(found[1]) == str(found[3])


def test_cancelled_calls() -> None:
    """A cancelled call, in flight or waiting, does not affect the others."""
    doubling = Doubling()

    async def main() -> None:
        tasks = [asyncio.ensure_future(doubling.batcher.submit(n)) for n in range(7)]
        for _ in range(TURNS):
            await asyncio.sleep(0)
        tasks[1].cancel()  # in flight
        tasks[5].cancel()  # waiting
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [n for n, one in enumerate(found) if isinstance(one, asyncio.CancelledError)] == [
            1,
            5,
        ]
        assert [one for one in found if isinstance(one, int)] == [0, 4, 6, 8, 12]

    asyncio.run(main())
    assert doubling.batches == [[0], [1, 2, 3], [4, 6]]


def test_the_first_is_cancelled() -> None:
    """After a single call was cancelled, the next one runs."""
    doubling = Doubling()

    async def main() -> None:
        first = asyncio.ensure_future(doubling.batcher.submit(0))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert await doubling.batcher.submit(1) == 2

    asyncio.run(main())
    assert doubling.batches == [[0], [1]]


def test_a_loop_that_ends_early() -> None:
    """A loop that ends cancels the calls that wait, and the next loop starts without them."""
    doubling = Doubling()

    async def leave() -> list[asyncio.Future[int]]:
        tasks = [asyncio.ensure_future(doubling.batcher.submit(n)) for n in range(7)]
        for _ in range(2):
            await asyncio.sleep(0)
        return tasks

    assert all(task.cancelled() for task in asyncio.run(leave()))
    doubling.batches.clear()
    assert asyncio.run(doubling.submit_all([1, 2])) == [2, 4]
    assert doubling.batches == [[1], [2]]


def test_a_call_when_a_batch_ends() -> None:
    """A call made at the moment when the last batch ends gets its result."""
    doubling = Doubling(max_batch=100)

    async def again(n: int) -> int:
        await doubling.batcher.submit(n)
        return await doubling.batcher.submit(n)

    async def main() -> None:
        assert await asyncio.gather(*[again(n) for n in range(9)]) == list(range(0, 18, 2))

    asyncio.run(main())


def test_a_cancelled_batch() -> None:
    """When the task that sends batches is cancelled, its calls are cancelled and do not hang."""
    doubling = Doubling()

    async def main() -> None:
        mine = [asyncio.ensure_future(doubling.batcher.submit(n)) for n in range(3)]
        await asyncio.sleep(0)
        for task in asyncio.all_tasks() - {*mine, asyncio.current_task()}:
            task.cancel()
        await asyncio.wait(mine, timeout=60)
        assert [task.cancelled() for task in mine] == [False, True, True]

    asyncio.run(main())
