"""What many tasks of one event loop want at once is done together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from buddy.memory.errors import UnavailableError
from buddy.memory.storage.crowd import Crowd

TURNS = 3
"""How many turns of the event loop a batch takes."""


class Doubling:
    """Doubles numbers and notes the batches; a negative one is refused, and 13 breaks it."""

    def __init__(self, most: int = 3, couriers: int = 1) -> None:
        self.batches: list[list[int]] = []
        self.under_way = self.most_under_way = 0
        self.crowd: Crowd[int, int] = Crowd(self.together, most, couriers)

    async def together(self, numbers: list[int]) -> Sequence[int | Exception]:
        self.batches.append(numbers)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            for _ in range(TURNS):
                await asyncio.sleep(0)
            if 13 in numbers:
                raise UnavailableError("Thirteen", "no luck")
            return [ValueError(str(n)) if n < 0 else 2 * n for n in numbers]
        finally:
            self.under_way -= 1

    async def ask_all(self, numbers: Sequence[int]) -> list[int | BaseException]:
        return await asyncio.gather(*map(self.crowd.ask, numbers), return_exceptions=True)


def test_alone() -> None:
    """One call at a time is done at once, alone and in the task of its caller."""
    doubling = Doubling()

    async def main() -> None:
        for n in range(3):
            assert await doubling.crowd.ask(n) == 2 * n
        with pytest.raises(ValueError, match="-1"):
            await doubling.crowd.ask(-1)
        with pytest.raises(UnavailableError):
            await doubling.crowd.ask(13)

    asyncio.run(main())
    assert doubling.batches == [[0], [1], [2], [-1], [13]]


def test_together() -> None:
    """What is asked meanwhile travels in batches of bounded size, and each gets its own answer."""
    doubling = Doubling()
    assert asyncio.run(doubling.ask_all(range(8))) == [0, 2, 4, 6, 8, 10, 12, 14]
    assert doubling.batches == [[0], [1, 2, 3], [4, 5, 6], [7]]
    assert doubling.most_under_way == 2  # The one alone, and one courier.


def test_couriers() -> None:
    """No more batches are under way than there are couriers."""
    doubling = Doubling(most=1, couriers=3)
    asyncio.run(doubling.ask_all(range(20)))
    assert doubling.most_under_way == 4


def test_refusals() -> None:
    """What is refused to one call does not touch the others of its batch."""
    found = asyncio.run(Doubling().ask_all([0, 1, -2, 3]))
    assert [type(one) for one in found] == [int, int, ValueError, int]


def test_a_failure_of_all() -> None:
    """What fails as a whole fails each of its calls with an exception of its own; later calls are
    done."""
    doubling = Doubling()
    found = asyncio.run(doubling.ask_all([0, 1, 13, 3, 4]))
    assert [type(one) for one in found] == [int, *[UnavailableError] * 3, int]
    assert len(set(map(id, found[1:4]))) == 3
    assert str(found[1]) == str(found[3])


def test_cancelled_while_waiting() -> None:
    """Who is cancelled takes nobody's answer along, whether under way or still waiting."""
    doubling = Doubling()

    async def main() -> None:
        tasks = [asyncio.ensure_future(doubling.crowd.ask(n)) for n in range(7)]
        for _ in range(TURNS):
            await asyncio.sleep(0)
        tasks[1].cancel()  # under way
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
    """A call alone that is cancelled leaves the way free for the next."""
    doubling = Doubling()

    async def main() -> None:
        first = asyncio.ensure_future(doubling.crowd.ask(0))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert await doubling.crowd.ask(1) == 2

    asyncio.run(main())
    assert doubling.batches == [[0], [1]]


def test_a_loop_that_ends_early() -> None:
    """A loop that ends while tasks wait ends them, and the next loop begins afresh."""
    doubling = Doubling()

    async def leave() -> list[asyncio.Future[int]]:
        tasks = [asyncio.ensure_future(doubling.crowd.ask(n)) for n in range(7)]
        for _ in range(2):
            await asyncio.sleep(0)
        return tasks

    assert all(task.cancelled() for task in asyncio.run(leave()))
    doubling.batches.clear()
    assert asyncio.run(doubling.ask_all([1, 2])) == [2, 4]
    assert doubling.batches == [[1], [2]]


def test_asked_when_a_courier_ends() -> None:
    """Who asks at the very moment when a courier has nothing left to do gets an answer."""
    doubling = Doubling(most=100)

    async def again(n: int) -> int:
        await doubling.crowd.ask(n)
        return await doubling.crowd.ask(n)

    async def main() -> None:
        assert await asyncio.gather(*[again(n) for n in range(9)]) == list(range(0, 18, 2))

    asyncio.run(main())


def test_a_courier_that_is_cancelled() -> None:
    """When somebody cancels every task that is not theirs, nobody waits for ever."""
    doubling = Doubling()

    async def main() -> None:
        mine = [asyncio.ensure_future(doubling.crowd.ask(n)) for n in range(3)]
        await asyncio.sleep(0)
        for task in asyncio.all_tasks() - {*mine, asyncio.current_task()}:
            task.cancel()
        await asyncio.wait(mine, timeout=60)
        assert [task.cancelled() for task in mine] == [False, True, True]

    asyncio.run(main())
