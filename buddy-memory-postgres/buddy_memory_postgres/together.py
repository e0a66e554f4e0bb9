"""PostgreSQL for asyncio: what many tasks want at once shares statements, and so round trips, turns
of the event loop, and the server's waits for its disk."""

from __future__ import annotations

from functools import partial
from typing import Any

from buddy.memory.storage.crowd import Crowd, answer_of
from buddy.memory.storage.record import Corrupt, Kind, Record
from buddy.memory.storage.sql import together
from buddy.memory.storage.sql.connect import NOTHING
from buddy.memory.storage.sql.together import ROWS, unless_refused
from buddy_memory_postgres.store import PostgresStore


class TogetherStore(together.TogetherStore, PostgresStore):
    """Writes and reads of single rows share statements; everything else is as in PostgresStore."""

    couriers = 3
    """A row that another session has locked holds up one of them."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._gets: dict[Kind, Crowd[str, Record | Corrupt | None]] = {
            kind: Crowd(partial(self._get_all_of, kind), ROWS, self.couriers) for kind in Kind
        }

    async def get(self, kind: Kind, id: str, user_id: str | None) -> Record | Corrupt | None:
        if "user_id" in self._dialect.identity:  # An id is not one row.
            return await super().get(kind, id, user_id)
        found = await self._gets[kind].ask(id)
        return found if found and user_id in (None, found.user_id) else None

    async def _get_all_of(
        self, kind: Kind, ids: list[str]
    ) -> list[Record | Corrupt | Exception | None]:
        if len(ids) == 1:
            return [await super().get(kind, ids[0], None)]
        query = self._statements[kind].get_ids().query({"p_ids": ids})
        reading = self._unless_missing(self._connector.read, query, NOTHING)
        found = await unless_refused(reading, None)
        if found is None:
            return [await answer_of(super(TogetherStore, self).get(kind, id, None)) for id in ids]
        rows = {row[1]: row for row in found.rows}
        # Each its own: two tasks may have asked for one row.
        return [self._decode(kind, rows[id]) if id in rows else None for id in ids]
