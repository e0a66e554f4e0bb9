"""R13: lost updates."""

from __future__ import annotations

import threading
from typing import Any

from buddy.memory.errors import ConflictError
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.record import Key, Kind, Record, Write
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
from tests.conformance_kit.broken_backends.declare import on_db, on_store, pause


@on_store("R13-a-version-counts-the-writes-memory")
class NeverCounts(InMemoryStore):
    async def put(self, write: Write) -> Record:
        record = (await super().put(write))._replace(version=1)
        self._of(record.kind)[record.key] = record
        return record


@on_store("R13-an-update-happens-only-at-the-expected-version-memory")
class IgnoresTheExpectedVersion(InMemoryStore):
    async def put(self, write: Write) -> Record:
        return await super().put(write._replace(if_version=None))


@on_store("R13-a-deletion-happens-only-at-the-expected-version-memory")
class DeletesAnyVersion(InMemoryStore):
    async def delete(self, kind: Kind, user_id: Any, id: str, if_version: Any) -> bool:
        return await super().delete(kind, user_id, id, None)


@on_store("R13-versions-of-users-are-apart-memory")
class ExpectsTheVersionOfAnybodysRow(InMemoryStore):
    async def put(self, write: Write) -> Record:
        versions = [
            r.version for r in self._of(write.record.kind).values() if r.id == write.record.id
        ]
        if write.if_version is not None and write.if_version in versions:
            write = write._replace(if_version=None)
        return await super().put(write)


@on_store("R13-only-one-creator-wins-memory")
class LooksBeforeItCreates(InMemoryStore):
    gate = threading.Barrier(8)

    async def put(self, write: Write) -> Record:
        if write.if_version == 0:
            taken = write.record.key in self._of(write.record.kind)
            self.gate.wait(10)
            if taken:
                raise ConflictError(write.record.id, 0, 1)
            write = write._replace(if_version=None)
        return await super().put(write)


@on_store("R13-concurrent-changes-are-not-lost-memory")
class ChecksTheVersionThenWrites(InMemoryStore):
    async def put(self, write: Write) -> Record:
        found = self._of(write.record.kind).get(write.record.key)
        version = 0 if found is None else found.version
        if write.if_version not in (None, version):
            raise ConflictError(write.record.id, write.if_version or 0, version)
        pause()
        return await super().put(write._replace(if_version=None))


@on_store("R13-a-deletion-and-an-update-do-not-both-happen-memory")
class ChecksTheVersionThenDeletes(InMemoryStore):
    async def delete(self, kind: Kind, user_id: Any, id: str, if_version: Any) -> bool:
        found = self._of(kind).get(Key(user_id, id))
        version = 0 if found is None else found.version
        if if_version not in (None, version):
            raise ConflictError(id, if_version, version)
        pause()
        return await super().delete(kind, user_id, id, None)


@on_store("R13-a-version-counts-beyond-a-byte")
class CountsInAByte(InMemoryStore):
    async def put(self, write: Write) -> Record:
        stored = await super().put(write)
        if stored.version > 255:
            stored = stored._replace(version=1)
            self._of(write.record.kind)[stored.key] = stored
        return stored


@on_db("R13-a-wrong-version-is-an-error-memory")
class TakesAnyVersion(StoreBackedMemoryDb):
    def delete_memory(self, memory_id: str, *, user_id: Any = None, if_version: Any = None) -> bool:
        version = if_version if type(if_version) is int and if_version >= 0 else None
        return super().delete_memory(memory_id, user_id=user_id, if_version=version)
