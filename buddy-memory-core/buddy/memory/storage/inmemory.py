"""A Store in a dictionary: the shortest complete example, and the double for your own tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from datetime import timedelta
from itertools import count, islice
from threading import RLock
from typing import Any

from buddy.memory.errors import ConflictError
from buddy.memory.storage import clock
from buddy.memory.storage.record import (
    EVERYBODY,
    Corrupt,
    Key,
    Kind,
    Record,
    Scope,
    Write,
    has_ended,
    merge,
    new_stamp,
)
from buddy.memory.storage.store import Ended, Store


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

    def _living(self, kind: Kind, user_id: str | None, id: str) -> Record | None:
        record = self._of(kind).get(Key(user_id, id))
        return None if record is None or has_ended(record, clock.utc_now()) else record

    def _within(self, kind: Kind, scope: Scope) -> Iterator[Record]:
        now = clock.utc_now()
        return (
            record
            for key, record in self._of(kind).items()
            if scope.covers(key.user_id) and not has_ended(record, now)
        )

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
            merged = merge(records.get(key), write, clock.utc_now())
            if merged.position is None:
                records.pop(key, None)  # A row that has expired gives its place up.
                merged = merged._replace(position=next(self._positions))
            records[key] = deepcopy(merged)
            return merged

    async def get(self, kind: Kind, user_id: str | None, id: str) -> Record | Corrupt | None:
        with self._lock:
            return deepcopy(self._living(kind, user_id, id))

    async def find(self, kind: Kind, ids: Sequence[str]) -> list[Record | Corrupt]:
        with self._lock:
            found: dict[str, list[Record | Corrupt]] = {id: [] for id in ids}
            for record in self._within(kind, EVERYBODY):
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
            stored = self._living(kind, user_id, id)
            version = 0 if stored is None else stored.version
            if if_version is not None and if_version != version:
                raise ConflictError(id, if_version, version)
            self._of(kind).pop(Key(user_id, id), None)
            return stored is not None

    async def delete_all(self, kind: Kind, scope: Scope) -> int:
        with self._lock:
            count, records = sum(1 for _ in self._within(kind, scope)), self._of(kind)
            for key in [key for key in records if scope.covers(key.user_id)]:
                del records[key]
            return count

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
            stored = self._living(kind, user_id, id)
            if stored is None or stored.stamp != if_stamp:
                return False
            records[key] = stored._replace(
                payload=deepcopy(payload), vector=vector, stamp=new_stamp()
            )
            return True

    async def touch(
        self, kind: Kind, user_id: str | None, ids: Sequence[str], ttl: timedelta | None
    ) -> int:
        with self._lock:
            end = None if ttl is None else clock.utc_now() + ttl
            found = [self._living(kind, user_id, id) for id in ids]
            for record in filter(None, found):
                self._of(kind)[record.key] = record._replace(expires_at=end, stamp=new_stamp())
            return sum(record is not None for record in found)

    async def sweep(self, kind: Kind, limit: int) -> int:
        with self._lock:
            now = clock.utc_now()
            ended = (record.key for record in self._of(kind).values() if has_ended(record, now))
            doomed = list(islice(ended, limit))
            for key in doomed:
                del self._of(kind)[key]
            return len(doomed)

    async def ended(self, kind: Kind) -> Ended:
        with self._lock:
            now = clock.utc_now()
            ends = [
                record.expires_at
                for record in self._of(kind).values()
                if record.expires_at is not None and has_ended(record, now)
            ]
            return Ended(len(ends), min(ends, default=None))

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
