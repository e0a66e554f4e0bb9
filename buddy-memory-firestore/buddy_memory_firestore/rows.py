"""Rows of a pair of collections: where each is, what was seen of it, and what stores it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from buddy.memory.errors import CorruptMemoryError
from buddy.memory.storage import clock
from buddy.memory.storage.record import Corrupt, Key, Kind, Reach, Record, Scope, Write, merge
from buddy.memory.storage.users import prefix_range
from buddy_memory_firestore import calls as requests
from buddy_memory_firestore import encoding, names
from buddy_memory_firestore.calls import Calls, Range
from buddy_memory_firestore.encoding import Seen
from buddy_memory_firestore.positions import Positions, positions_of
from buddy_memory_firestore.recent import Recent


class Found(NamedTuple):
    """A document, and the position at which a listing found it ("": not by a listing)."""

    position: str
    document: Any


class Rows:
    """What reads, writes and deletions have in common."""

    def __init__(self, calls: Calls, collections: dict[Kind, str]) -> None:
        self.calls = calls
        self.collections = collections
        self.recent = Recent()

    # --- places

    def path(self, kind: Kind, key: Key) -> str:
        """Return the path of a row's document."""
        return f"{self.collections[kind]}/{names.document_id(*key)}"

    def range(self, kind: Kind, scope: Scope) -> Range:
        """Return the documents of a scope, sorted by user and then in the order of writing."""
        low: str
        high: str | None
        if scope.reach is Reach.USER:
            low = names.user_lead(scope.name)
            high = names.beyond(low)
        elif scope.reach is Reach.PREFIX:
            low, high = prefix_range(names.check_prefix(scope.name or ""))
        else:
            low, high = "", None
        return Range(self.collections[kind], "user_order", low, high)

    async def positions(self, kind: Kind) -> Positions:
        """Return this process's counter for a kind."""
        return positions_of(await self.calls.connection.root(), self.collections[kind])

    # --- what is stored

    async def look(self, kind: Kind, key: Key, calls: Calls) -> Seen | None:
        """Return what is stored now, without payload and vector."""
        return (await self.look_many(kind, [key], calls)).get(key)

    async def look_many(
        self, kind: Kind, keys: Sequence[Key], calls: Calls | None = None
    ) -> dict[Key, Seen]:
        """Return what is stored now, without payloads and vectors, by key."""
        by_path = {self.path(kind, key): key for key in keys}
        positions = await self.positions(kind)
        found = await (calls or self.calls).get(list(by_path), encoding.HEAD)
        seen = {}
        for path, document in found.items():
            try:
                head = encoding.read_head(kind, document)
            except ValueError as error:
                raise CorruptMemoryError(by_path[path].id, str(error)) from None
            positions.saw(head.record.position)
            seen[by_path[path]] = head
        return seen

    async def read(self, kind: Kind, found: Iterable[Found]) -> list[Record | Corrupt]:
        """Return the records of documents that have not ended, and keep what their next writes need
        to know."""
        positions, now = await self.positions(kind), clock.utc_now()
        records: list[Record | Corrupt] = []
        for position, document in found:
            if encoding.has_ended(document, now):
                continue
            record = encoding.to_record(kind, document, position)
            if isinstance(record, Record):
                positions.saw(record.position)
                self.remember(record, document.update_time)
            records.append(record)
        return records

    def remember(self, record: Record, update_time: Any) -> None:
        """Keep what the next write of this row needs to know."""
        head = record._replace(payload={}, vector=None)
        self.recent.put(record.kind, record.key, Seen(head, update_time))

    # --- what is to be stored

    async def merge(self, seen: Seen | None, write: Write, place: str | None = None) -> Record:
        """Return what to store, given what was seen. A first write gets the position ``place``,
        None: the next one. Raises as ``merge`` of records does."""
        record = merge(None if seen is None else seen.record, write, clock.utc_now())
        if record.position is None:
            place = place or (await self.positions(record.kind)).take()
            record = record._replace(position=place)
        return record

    async def write_of(self, record: Record, seen: Seen | None) -> Any:
        """Return the Write that stores a record if the document is as it was seen."""
        path = self.path(record.kind, record.key)
        name = await self.calls.name(path)
        write = requests.Write(update=encoding.to_document(name, path, record))
        if seen is None:
            write.current_document.exists = False
        else:
            write.current_document.update_time.CopyFrom(seen.update_time)
        return write
