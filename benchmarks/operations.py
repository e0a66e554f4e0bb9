"""What is measured, the same for every backend and every side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from benchmarks.measure import Operation, finish
from benchmarks.sides import fresh, payload

USERS = 1000


def user(n: int) -> str:
    return f"user-{n % USERS}"


class Operations:
    """The operations on stores of ``rows`` rows. What "upsert, new" made, "delete" takes away."""

    def __init__(self, rows: int, bulk: int, step: int = 7919) -> None:
        self.rows, self.bulk, self.step = rows, bulk, step
        self._made: dict[str, list[Any]] = {}

    def ids(self, side: Any, times: int) -> list[int]:
        """Return numbers of standing rows, from all over the store.

        Not the same for both sides of a library, which know the rows that they wrote themselves.
        """
        return [(2 * n * self.step + side.asynchronous) % self.rows for n in range(times)]

    def new(self, side: Any, times: int) -> list[Any]:
        rows = fresh(times, user)
        self._made.setdefault(side.name, []).extend(rows)
        return rows

    def made(self, side: Any, times: int) -> list[Any]:
        """Return rows that the side made before, and that are to be deleted."""
        made = self._made.setdefault(side.name, [])
        for row in self.new(side, times - len(made)):
            finish(side.put(*row))
        taken, made[:] = made[:times], made[times:]
        return taken

    def listed(self) -> Iterable[Operation]:
        """The operations on an open store, the bulk upsert apart."""
        yield Operation("upsert, new row", "put", lambda side, row: side.put(*row), self.new)
        yield self._by_id(
            "upsert, update", "put", lambda s, n: s.put(f"id-{n}", user(n), payload(n))
        )
        yield self._by_id("exists", "exists", lambda s, n: s.exists(f"id-{n}", user(n)))
        yield self._by_id("read by id", "get", lambda side, n: side.get(f"id-{n}", user(n)))
        yield self._by_id("newest 20 of a user", "newest", lambda side, n: side.newest("one", 20))
        yield self._by_id("page through 1,000 rows of a user", "page", lambda s, n: s.page("one"))
        yield Operation("delete", "delete", lambda side, row: side.delete(*row[:2]), self.made)

    def _by_id(self, name: str, needs: str, call: Callable[[Any, int], Any]) -> Operation:
        return Operation(name, needs, call, self.ids)

    def opening(self) -> Operation:
        """Opening a store, reading of one user, closing; on sides that are closed."""

        async def awaited(side: Any) -> None:
            for step in (side.open, lambda: side.newest(user(0), 20), side.close):
                done = step()
                if done is not None and not isinstance(done, list):
                    await done

        def call(side: Any, n: int) -> Any:
            if side.asynchronous:
                return awaited(side)
            side.open()
            side.newest(user(0), 20)
            return side.close()

        return Operation("open, read, close", "open", call, self.ids)

    def bulk_upsert(self) -> Operation:
        """Upserting many new rows in one call."""

        def batches(side: Any, times: int) -> Sequence[Any]:
            return [fresh(self.bulk, user) for _ in range(times)]

        name = f"bulk upsert of {self.bulk:,} rows"
        return Operation(name, "put_many", lambda side, rows: side.put_many(rows), batches, 1)
