"""R8: payloads."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from buddy.memory import payload as payloads
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.record import Corrupt, Key, Kind, Record, Write
from buddy.memory.v2.db.schema import MemoryRow
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
from tests.conformance_kit.broken_backends.declare import on_db, on_store, rewritten, unreachable


@on_store("R8-what-was-written-is-what-is-read-memory")
class ReplacesSurrogates(InMemoryStore):
    async def put(self, write: Write) -> Record:
        text = payloads.to_json(write.record.payload).replace("\\u001bd800", "?")
        return await super().put(rewritten(write, payload=payloads.from_json(text)))


@on_store("R8-what-was-written-is-what-is-read-summary")
class ReadsFloatsAsInts(InMemoryStore):
    async def put(self, write: Write) -> Record:
        def change(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: change(item) for key, item in value.items()}
            return int(value) if isinstance(value, float) and value == 1.0 else value

        return await super().put(rewritten(write, payload=change(write.record.payload)))


@on_store("R8-an-update-replaces-the-payload-memory")
class MergesPayloads(InMemoryStore):
    async def put(self, write: Write) -> Record:
        found = self._of(write.record.kind).get(write.record.key)
        old = found.payload if found is not None else {}
        return await super().put(rewritten(write, payload={**old, **write.record.payload}))


@on_store("R8-common-python-types-have-one-json-form-memory")
class CutsFractionsOfSeconds(InMemoryStore):
    async def put(self, write: Write) -> Record:
        text = payloads.to_json(write.record.payload).replace(".000006+00:00", "+00:00")
        return await super().put(rewritten(write, payload=payloads.from_json(text)))


@on_store("R8-rows-are-copies-memory")
class ReturnsWhatItStores(InMemoryStore):
    async def find(self, kind: Kind, ids: Any) -> list[Record | Corrupt]:
        return [row for row in self._of(kind).values() if row.id in ids]

    async def get(self, kind: Kind, user_id: Any, id: str) -> Record | Corrupt | None:
        return self._of(kind).get(Key(user_id, id))


@on_db("R8-rows-are-copies-memory")
class ReturnsTheRowItWasGiven(StoreBackedMemoryDb):
    def upsert_memory(self, memory: Any, **options: Any) -> Any:
        stored = super().upsert_memory(memory, **options)
        memory.__dict__.update({k: v for k, v in vars(stored).items() if k != "memory"})
        return memory


@on_db("R8-what-is-no-json-is-refused-by-its-path-memory")
class StoresWhatIsNoJson(StoreBackedMemoryDb):
    def upsert_memory(self, memory: Any, **options: Any) -> Any:
        try:
            return super().upsert_memory(memory, **options)
        except ValueError:
            return super().upsert_memory(MemoryRow({"repr": repr(memory.memory)}, memory.id))


@on_store("R8-a-large-row-is-stored-whole-or-refused-memory")
class CutsAtAMegabyte(InMemoryStore):
    async def put(self, write: Write) -> Record:
        payload = {
            key: value[: 2**20] if isinstance(value, str) else value
            for key, value in write.record.payload.items()
        }
        return await super().put(rewritten(write, payload=payload))


class AsksBeforeItLooks(StoreBackedMemoryDb):
    def upsert_memory(self, memory: Any, **options: Any) -> Any:
        self.ping()
        return super().upsert_memory(memory, **options)


unreachable("R8-what-is-no-json-is-refused-before-any-io-memory", AsksBeforeItLooks)


@on_store("R8-what-was-written-is-what-is-read-memory")
class ReadsTextsAsTimes(InMemoryStore):
    """The driver knows times, and writes them in a form of its own."""

    async def find(self, kind: Kind, ids: Any) -> Any:
        return [
            found._replace(payload={k: self._time(v) for k, v in found.payload.items()})
            for found in await super().find(kind, ids)
            if isinstance(found, Record)
        ]

    def _time(self, value: Any) -> Any:
        try:
            return datetime.fromisoformat(value.replace("Z", "+00:00")).isoformat()
        except (AttributeError, ValueError):
            return value
