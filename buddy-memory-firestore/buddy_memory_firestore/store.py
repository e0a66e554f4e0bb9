"""A pair of Firestore collections as a Store.

Memories are kept in the collection, summaries in ``{collection}_summaries``, one document each.
Every write is one commit that the server applies only to the state it was made for: a new row if
there is none, an update if nobody else wrote since.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import suppress
from typing import Any

from buddy.memory.errors import CorruptMemoryError, SchemaError
from buddy.memory.storage.record import Corrupt, Kind, Record, Write, merge
from buddy.memory.storage.store import Store
from buddy_memory_firestore import bulk, deletions, documents, names, single, upgrade
from buddy_memory_firestore import calls as protocol
from buddy_memory_firestore.calls import Calls, Scope
from buddy_memory_firestore.connection import Connection
from buddy_memory_firestore.documents import Position, Seen
from buddy_memory_firestore.errors import PreconditionFailed
from buddy_memory_firestore.order import Order, order_of
from buddy_memory_firestore.recent import Recent

PAGE = 1000
"""Documents that one query returns at most."""

_HEAD = ["id", "user_id", "created_at", "updated_at", "version", "order"]


class FirestoreStore(Store):
    """Rows in ``collection`` of the database behind ``connection``."""

    def __init__(self, connection: Connection, collection: str) -> None:
        self.connection = connection
        self.calls = Calls(connection)
        self.collections = {
            Kind.MEMORY: names.check_collection(collection),
            Kind.SUMMARY: f"{collection}_summaries",
        }
        self.recent = Recent()
        self._ready: set[Kind] = set()
        self._looked = False

    # --- names

    def path(self, kind: Kind, id: str) -> str:
        """Return the path of a row's document."""
        return f"{self.collections[kind]}/{names.document_id(id)}"

    @property
    def marker(self) -> str:
        """The path of the document that stands for the place itself."""
        return f"{self.collections[Kind.MEMORY]}/{names.MARKER}"

    async def order(self, kind: Kind) -> Order:
        """Return this process's counter for a kind."""
        return order_of(await self.connection.root(), self.collections[kind])

    # --- the place

    async def create(self) -> None:
        write = await self.marking(upgrade.CURRENT)
        write.current_document.exists = False
        with suppress(PreconditionFailed):  # Somebody else did it.
            await self.calls.commit([write])

    async def marking(self, format: int) -> Any:
        """Return the Write that marks the place as made, in a format."""
        write = protocol.Write()
        write.update.name = await self.calls.name(self.marker)
        write.update.fields["format"].integer_value = format
        return write

    async def exists(self) -> bool:
        for kind in Kind:
            if await self.calls.any(self.collections[kind]):
                return True
        await self.look_for_older()
        return False

    async def drop(self) -> None:
        self.forget()
        for kind in Kind:
            await deletions.delete_collection(self, self.collections[kind])

    def forget(self) -> None:
        """Know nothing of the place any more."""
        self.recent.clear()
        self._ready.clear()

    async def prepare(self, kind: Kind) -> Order:
        """Before the first write of this object: mark the place, and learn the order so far."""
        order = await self.order(kind)
        if kind not in self._ready:
            scope = Scope(self.collections[kind], None)
            newest = await self.calls.query(scope, 1, newest_first=True, mask=["order"])
            if newest:
                order.saw(documents.position_of(newest[0]).order)
            else:
                await self.look_for_older()
                await self.create()
            self._ready.add(kind)
        return order

    async def look_for_older(self) -> None:
        """Raise SchemaError when the rows of an older release are here, which would read as none.

        Asked once, and only when nothing was found.
        """
        if self._looked:
            return
        if await upgrade.is_older(self):
            raise SchemaError(
                f"The collection {self.collections[Kind.MEMORY]!r} holds the rows of an older "
                "release.",
                "Call upgrade(), which moves them.",
            )
        self._looked = True

    def older(self) -> AsyncIterator[list[Record | Corrupt]]:
        return upgrade.older(self)

    async def upgrade(self) -> None:
        if await upgrade.is_needed(self):
            await upgrade.run(self)
            self.forget()

    # --- writing

    async def put(self, write: Write) -> Record:
        return await single.put(self, write)

    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        return await bulk.put(self, writes)

    def merge(self, seen: Seen | None, write: Write, order: Order) -> Record:
        """Return what to store, given what was seen. Raises as ``merge`` of records does."""
        record = merge(None if seen is None else seen.record, write)
        if seen is None:
            place = Position(order.take(), names.document_id(record.id))
            record = record._replace(position=place)
        return record

    async def write_of(self, record: Record, seen: Seen | None) -> Any:
        """Return the Write that stores a record if the document is as it was seen."""
        path = self.path(record.kind, record.id)
        name = await self.calls.name(path)
        write = protocol.Write(update=documents.to_document(name, path, record))
        if seen is None:
            write.current_document.exists = False
        else:
            write.current_document.update_time.CopyFrom(seen.update_time)
        return write

    def remember(self, record: Record, update_time: Any) -> None:
        """Keep what the next write of this row needs to know."""
        head = record._replace(payload={})
        self.recent.put(record.kind, record.id, Seen(head, update_time))

    async def look(self, kind: Kind, id: str) -> Seen | None:
        """Return what is stored now, without the payload."""
        return (await self.look_many(kind, [id])).get(id)

    async def look_many(self, kind: Kind, ids: Sequence[str]) -> dict[str, Seen]:
        """Return what is stored now, without the payloads, by id."""
        by_path = {self.path(kind, id): id for id in ids}
        found = await self.calls.get(list(by_path), _HEAD)
        seen = {}
        for path, document in found.items():
            try:
                seen[by_path[path]] = documents.read_head(kind, document)
            except ValueError as error:
                raise CorruptMemoryError(by_path[path], str(error)) from None
        return seen

    async def is_stored(self, record: Record) -> bool:
        """Tell whether exactly this record is stored: a write whose answer got lost was done."""
        return await self.get(record.kind, record.id, record.user_id) == record

    # --- reading

    async def get(self, kind: Kind, id: str, user_id: str | None) -> Record | Corrupt | None:
        document = (await self.calls.get([self.path(kind, id)])).get(self.path(kind, id))
        if document is None:
            await self.look_for_older()
            return None
        found = self._read(kind, document, await self.order(kind))
        return found if user_id in (None, found.user_id) else None

    def _read(self, kind: Kind, document: Any, order: Order) -> Record | Corrupt:
        found = documents.to_record(kind, document)
        if isinstance(found, Record):
            order.saw(found.position.order)
            self.remember(found, document.update_time)
        return found

    async def has(self, kind: Kind, id: str, user_id: str | None) -> bool:
        path = self.path(kind, id)
        document = (await self.calls.get([path], ["user_id"])).get(path)
        if document is None:
            await self.look_for_older()
            return False
        return user_id in (None, documents.owner_of(document))

    async def page(
        self,
        kind: Kind,
        user_id: str | None,
        *,
        newest_first: bool,
        after: Any,
        limit: int | None,
    ) -> list[Record | Corrupt]:
        scope, order = Scope(self.collections[kind], user_id), await self.order(kind)
        rows: list[Record | Corrupt] = []
        while limit is None or len(rows) < limit:
            wanted = PAGE if limit is None else min(PAGE, limit - len(rows))
            found = await self.calls.query(scope, wanted, newest_first=newest_first, after=after)
            rows += [self._read(kind, document, order) for document in found]
            if len(found) < wanted:
                break
            after = documents.position_of(found[-1])
        if not rows and after is None:
            await self.look_for_older()
        return rows

    async def count(self, kind: Kind, user_id: str | None) -> int:
        return await self._unless_older(self.calls.count(Scope(self.collections[kind], user_id)))

    async def _unless_older(self, counting: Awaitable[int]) -> int:
        number = await counting
        if number == 0:
            await self.look_for_older()
        return number

    # --- deleting

    async def delete(
        self, kind: Kind, id: str, user_id: str | None, if_version: int | None
    ) -> bool:
        return await single.delete(self, kind, id, user_id, if_version)

    async def delete_many(self, kind: Kind, ids: Sequence[str], user_id: str | None) -> int:
        return await self._unless_older(deletions.delete(self, kind, ids, user_id))

    async def delete_all(self, kind: Kind, user_id: str | None) -> int:
        self.recent.clear()
        return await self._unless_older(deletions.delete_all(self, kind, user_id))

    # --- the rest

    async def ping(self) -> None:
        await self.calls.get([self.marker], protocol.NO_FIELDS)

    async def facts(self) -> dict[str, str]:
        await self.ping()
        return {**await self.connection.facts(), "collection": self.collections[Kind.MEMORY]}

    async def close(self) -> None:
        await self.connection.close()
