"""A Store in a dictionary: the shortest complete example, and the double for your own tests."""

from __future__ import annotations

from copy import deepcopy
from itertools import count, islice
from threading import RLock
from typing import Any

from buddy.memory.errors import ConflictError
from buddy.memory.storage.record import Corrupt, Kind, Record, Write, merge
from buddy.memory.storage.store import Store


class InMemoryStore(Store):
    """Keeps records for as long as the object lives. One lock serves any number of threads."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._positions = count(1)
        # A dict keeps insertion order, and an update keeps a key's place: that is rule R3.
        self._records: dict[Kind, dict[str, Record]] | None = None

    def _of(self, kind: Kind) -> dict[str, Record]:
        return {} if self._records is None else self._records[kind]

    def _find(self, kind: Kind, id: str, user_id: str | None) -> Record | None:
        record = self._of(kind).get(id)
        return record if record and user_id in (None, record.user_id) else None

    async def create(self) -> None:
        with self._lock:
            if self._records is None:
                self._records = {kind: {} for kind in Kind}

    async def exists(self) -> bool:
        return self._records is not None

    async def drop(self) -> None:
        with self._lock:
            self._records = None

    async def put(self, write: Write) -> Record:
        with self._lock:
            await self.create()
            records, id = self._of(write.record.kind), write.record.id
            merged = merge(records.get(id), write)
            if merged.position is None:
                merged = merged._replace(position=next(self._positions))
            records[id] = deepcopy(merged)
            return merged

    async def get(self, kind: Kind, id: str, user_id: str | None) -> Record | Corrupt | None:
        with self._lock:
            return deepcopy(self._find(kind, id, user_id))

    async def page(
        self,
        kind: Kind,
        user_id: str | None,
        *,
        newest_first: bool,
        after: Any,
        limit: int | None,
    ) -> list[Record | Corrupt]:
        with self._lock:
            records = list(self._of(kind).values())
            if newest_first:
                records.reverse()
            wanted = (
                record
                for record in records
                if user_id in (None, record.user_id)
                and (after is None or (record.position < after) == newest_first)
                and record.position != after
            )
            return deepcopy(list(islice(wanted, limit)))

    async def delete(
        self, kind: Kind, id: str, user_id: str | None, if_version: int | None
    ) -> bool:
        with self._lock:
            stored = self._find(kind, id, user_id)
            version = 0 if stored is None else stored.version
            if if_version is not None and if_version != version:
                raise ConflictError(id, if_version, version)
            return stored is not None and bool(self._of(kind).pop(id))

    async def delete_all(self, kind: Kind, user_id: str | None) -> int:
        with self._lock:
            records = self._of(kind)
            doomed = [r.id for r in records.values() if user_id in (None, r.user_id)]
            for id in doomed:
                del records[id]
            return len(doomed)

    async def count(self, kind: Kind, user_id: str | None) -> int:
        with self._lock:
            return sum(user_id in (None, record.user_id) for record in self._of(kind).values())

    async def ping(self) -> None:
        """Always answers."""

    async def close(self) -> None:
        """Nothing was opened. The records go with the object."""
