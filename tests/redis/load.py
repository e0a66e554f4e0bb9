"""Writers that go on while servers change, and know what each of their rows may have become."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic, sleep
from typing import Any

from buddy.memory.errors import UnavailableError
from buddy.memory.v2.db.redis import RedisMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from buddy_memory_redis.transport import value_of
from tests.redis.stored import assert_sound

SECONDS = 60


class Load:
    """A thread for each store that ``opens`` gives, which writes rows of one user.

    ``versions`` says for each id the least and the most that its version may be: a write without
    an answer may have been done. ``doubled`` and ``behind`` tell of answers above and below that.
    """

    def __init__(self, opens: list[Callable[[], Any]]) -> None:
        self.versions: dict[str, tuple[int, int]] = {}
        self.doubled: list[str] = []
        self.behind: list[str] = []
        self.users = tuple(f"user {n}" for n in range(len(opens)))
        self._ends = threading.Event()
        self._threads = [
            threading.Thread(target=asyncio.run, args=(self._write(opened, user),))
            for opened, user in zip(opens, self.users, strict=True)
        ]
        for thread in self._threads:
            thread.start()

    async def _write(self, opened: Callable[[], Any], user: str) -> None:
        db, n = opened(), 0
        while not self._ends.is_set():
            id, n = f"{user} {n % 5}", n + 1
            least, most = self.versions.get(id, (0, 0))
            self.versions[id] = (least, most + 1)
            with suppress(UnavailableError):
                row = await value_of(db.upsert_memory(MemoryRow({"n": n}, id, user)))
                self.versions[id] = (row.version, row.version)
                if not least < row.version <= most + 1:
                    wrong = self.doubled if row.version > most else self.behind
                    wrong.append(f"{id}: {row.version} after {least} to {most}")
        await value_of(db.close())

    def goes_on(self) -> None:
        """Return when each user's rows were written again, with answers."""
        before, end = dict(self.versions), monotonic() + SECONDS
        for user in self.users:
            while True:
                now = [(id, v) for id, v in self.versions.items() if id.startswith(user)]
                if len(now) == 5 and all(v[0] > before.get(id, (0, 0))[1] for id, v in now):
                    break
                assert monotonic() < end, (user, before, self.versions)
                sleep(0.01)

    def end(self) -> None:
        """Stop, and see that no call wrote twice."""
        self._ends.set()
        for thread in self._threads:
            thread.join()
        assert not self.doubled, self.doubled


def assert_kept(db: RedisMemoryDb, load: Load, least: dict[str, tuple[int, int]]) -> None:
    """See that no row was written twice by one call, or is behind ``least``, and that all views
    agree."""
    versions = {str(row.id): row.version or 0 for row in db.read_memories()}
    for id, (_, most) in load.versions.items():
        assert least[id][0] <= versions[id] <= most, id
    assert set(assert_sound(db, load.users)) == set(load.versions)
