"""A Store in a dictionary: the shortest complete example, and the double for your own tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from itertools import count, islice
from threading import RLock
from typing import Any

from buddy.memory.errors import ConflictError
from buddy.memory.storage.record import (
    Corrupt,
    Key,
    Kind,
    Record,
    Scope,
    Write,
    merge,
    new_stamp,
)
from buddy.memory.storage.store import Store


class InMemoryStore(Store):
    """Keeps records for as long as the object lives. One lock serves any number of threads."""

    sums_stamps = True

    def __init__(self) -> None:
        self._lock = RLock()
        self._positions = count(1)
        self._generation = ""
        # A dict keeps insertion order, and an update keeps a key's place: that is rule R3.
        self._records: dict[Kind, dict[Key, Record]] | None = None

    def _of(self, kind: Kind) -> dict[Key, Record]:
        return {} if self._records is None else self._records[kind]

    def _within(self, kind: Kind, scope: Scope) -> Iterator[Record]:
        return (record for key, record in self._of(kind).items() if scope.covers(key.user_id))

    async def create(self) -> None:
        with self._lock:
            if self._records is None:
                self._records = {kind: {} for kind in Kind}
                self._generation = str(new_stamp())

    async def exists(self) -> bool:
        return self._records is not None

    async def drop(self) -> None:
        with self._lock:
            self._records, self._generation = None, ""

    async def put(self, write: Write) -> Record:
        with self._lock:
            await self.create()
            records, key = self._of(write.record.kind), write.record.key
            merged = merge(records.get(key), write)
            if merged.position is None:
                merged = merged._replace(position=next(self._positions))
            records[key] = deepcopy(merged)
            return merged

    async def get(self, kind: Kind, user_id: str | None, id: str) -> Record | Corrupt | None:
        with self._lock:
            return deepcopy(self._of(kind).get(Key(user_id, id)))

    async def find(self, kind: Kind, ids: Sequence[str]) -> list[Record | Corrupt]:
        with self._lock:
            found: dict[str, list[Record | Corrupt]] = {id: [] for id in ids}
            for record in self._of(kind).values():
                # Two of an id tell that it is ambiguous, and nobody reads a third.
                if record.id in found and len(found[record.id]) < 2:
                    found[record.id].append(deepcopy(record))
            return [record for records in found.values() for record in records]

    async def page(
        self,
        kind: Kind,
        scope: Scope,
        *,
        newest_first: bool,
        after: Any,
        limit: int | None,
    ) -> list[Record | Corrupt]:
        with self._lock:
            records = list(self._within(kind, scope))
            if newest_first:
                records.reverse()
            behind = (
                record
                for record in records
                if after is None
                or (record.position < after if newest_first else record.position > after)
            )
            return deepcopy(list(islice(behind, limit)))

    async def count(self, kind: Kind, scope: Scope) -> int:
        with self._lock:
            return sum(1 for _ in self._within(kind, scope))

    async def users(
        self, kind: Kind, *, prefix: str, after: str | None, limit: int | None
    ) -> list[str]:
        with self._lock:
            named = {record.user_id or "" for record in self._within(kind, Scope.of_prefix(prefix))}
            return sorted(user for user in named if after is None or user > after)[:limit]

    async def delete(
        self, kind: Kind, user_id: str | None, id: str, if_version: int | None
    ) -> bool:
        with self._lock:
            records, key = self._of(kind), Key(user_id, id)
            stored = records.get(key)
            version = 0 if stored is None else stored.version
            if if_version is not None and if_version != version:
                raise ConflictError(id, if_version, version)
            return records.pop(key, None) is not None

    async def delete_all(self, kind: Kind, scope: Scope) -> int:
        with self._lock:
            doomed = [record.key for record in self._within(kind, scope)]
            for key in doomed:
                del self._of(kind)[key]
            return len(doomed)

    async def rewrite(
        self,
        kind: Kind,
        user_id: str | None,
        id: str,
        if_stamp: int,
        *,
        payload: dict[str, Any],
        vector: bytes | None,
    ) -> bool:
        with self._lock:
            records, key = self._of(kind), Key(user_id, id)
            stored = records.get(key)
            if stored is None or stored.stamp != if_stamp:
                return False
            records[key] = stored._replace(
                payload=deepcopy(payload), vector=vector, stamp=new_stamp()
            )
            return True

    async def mark(self, kind: Kind, user_id: str | None) -> str | None:
        with self._lock:
            stamps = [record.stamp or 0 for record in self._within(kind, Scope.of_user(user_id))]
            return f"{len(stamps)}:{sum(stamps)}"

    async def generation(self, kind: Kind) -> str:
        return self._generation

    async def ping(self) -> None:
        """Always answers."""

    async def close(self) -> None:
        """Nothing was opened. The records go with the object."""
