"""What answers are compared with: the Store in a dictionary; refused bulk writes are taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from typing import Any

from buddy.memory.db.store_backed import StoreBackedMemoryDb as StoredMemoryDbV1
from buddy.memory.errors import MemoryDbError
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.record import Record, Write
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
from buddy.memory.v2.db.threaded import ThreadedMemoryDb


class Reference(InMemoryStore):
    """A bulk write that is refused stores nothing, or what ``told`` names: backends without
    transactions store some rows, and then have to say which."""

    told: tuple[tuple[str | None, str], ...] = ()

    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        before = deepcopy(self._records)
        try:
            return [await self.put(write) for write in writes]
        except MemoryDbError as error:
            self._records = before
            for write in writes:
                if write.record.key in self.told:
                    await self.put(write)
            error.stored = self.told
            raise

    def openers(self, apis: Iterable[str]) -> dict[str, Callable[[], Any]]:
        every: dict[str, Callable[[], Any]] = {
            "v1": lambda: StoredMemoryDbV1(self),
            "v2": lambda: StoreBackedMemoryDb(self),
            "async": lambda: ThreadedMemoryDb(StoreBackedMemoryDb(self)),
        }
        return {api: every[api] for api in apis}
