"""The Store: what a backend has to be able to do. Replace the JSON file by your driver."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from buddy.memory import payload
from buddy.memory.errors import (
    AccessError,
    ConflictError,
    CorruptMemoryError,
    MemoryDbError,
    UnavailableError,
)
from buddy.memory.storage.record import Corrupt, Kind, Record, Write, merge
from buddy.memory.storage.store import Store
from buddy_memory_newname.files import Content, JsonFile

T = TypeVar("T")
Row = dict[str, Any]


class NewnameStore(Store):
    """A store in one file: ``{"last": position, "memory": {id: row}, "summary": {id: row}}``.

    An object keeps the order in which its keys were added, and a changed one its place: that is
    the order of first writing (rule R3).
    """

    def __init__(self, folder: Path, table_name: str) -> None:
        self._file = JsonFile(folder / f"{quote(table_name, safe='')}.json")

    # --- the place

    async def create(self) -> None:
        if not await self.exists():
            self._change(lambda content: None)

    async def exists(self) -> bool:
        with _translated():
            return self._file.read() is not None

    async def drop(self) -> None:
        if await self.exists():
            with _translated(), self._file.locked():
                self._file.remove()

    # --- writing: read, decide and write under one lock, so that each call is atomic

    async def put(self, write: Write) -> Record:
        return self._change(lambda content: _put(content, write))

    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        return self._change(lambda content: [_put(content, write) for write in writes])

    def _change(self, work: Callable[[Content], T], *, make: bool = True) -> T:
        """Return what ``work`` does to the content, and keep it; an error leaves all as it was."""
        with _translated():
            if make:
                self._file.path.parent.mkdir(parents=True, exist_ok=True)
            elif self._file.read() is None:
                return work(_empty())
            with self._file.locked():
                found = self._file.read()
                content = _empty() if found is None else found
                result = work(content)
                if make or found is not None:
                    self._file.write(content)
                return result

    # --- reading

    def _rows(self, kind: Kind, user_id: str | None) -> dict[str, Row]:
        with _translated():
            content = self._file.read() or _empty()
        return _of_user(content, kind, user_id)

    async def get(self, kind: Kind, id: str, user_id: str | None) -> Record | Corrupt | None:
        row = self._rows(kind, user_id).get(id)
        return None if row is None else _decode(kind, id, row)

    async def page(
        self,
        kind: Kind,
        user_id: str | None,
        *,
        newest_first: bool,
        after: Any,
        limit: int | None,
    ) -> list[Record | Corrupt]:
        rows = list(self._rows(kind, user_id).items())
        if newest_first:
            rows.reverse()
        if after is not None:
            rows = [
                (id, row)
                for id, row in rows
                if (row["position"] < after if newest_first else row["position"] > after)
            ]
        return [_decode(kind, id, row) for id, row in rows[:limit]]

    async def count(self, kind: Kind, user_id: str | None) -> int:
        return len(self._rows(kind, user_id))

    # --- deleting

    async def delete(
        self, kind: Kind, id: str, user_id: str | None, if_version: int | None
    ) -> bool:
        def work(content: Content) -> bool:
            row = _of_user(content, kind, user_id).get(id)
            version = 0 if row is None else row["version"]
            if if_version is not None and if_version != version:
                raise ConflictError(id, if_version, version)
            return row is not None and bool(content[kind.value].pop(id))

        return self._change(work, make=False)

    async def delete_many(self, kind: Kind, ids: Sequence[str], user_id: str | None) -> int:
        def work(content: Content) -> int:
            doomed = _of_user(content, kind, user_id).keys() & set(ids)
            return sum(bool(content[kind.value].pop(id)) for id in doomed)

        return self._change(work, make=False)

    async def delete_all(self, kind: Kind, user_id: str | None) -> int:
        def work(content: Content) -> int:
            doomed = _of_user(content, kind, user_id)
            return sum(bool(content[kind.value].pop(id)) for id in doomed)

        return self._change(work, make=False)

    # --- the rest

    async def ping(self) -> None:
        await self.exists()

    async def close(self) -> None:
        """Nothing is kept open. Close here what the Store itself opened."""


def _empty() -> Content:
    return {"last": 0, **{kind.value: {} for kind in Kind}}


def _of_user(content: Content, kind: Kind, user_id: str | None) -> dict[str, Row]:
    rows: dict[str, Row] = content[kind.value]
    return {id: row for id, row in rows.items() if user_id in (None, row["user_id"])}


def _put(content: Content, write: Write) -> Record:
    rows, id = content[write.record.kind.value], write.record.id
    stored = _head(write.record.kind, id, rows[id]) if id in rows else None
    merged = merge(stored, write)  # Raises OwnerMismatchError and ConflictError.
    if stored is None:
        content["last"] += 1
        merged = merged._replace(position=content["last"])
    rows[id] = _encode(merged)
    return merged


def _encode(record: Record) -> Row:
    return {
        "user_id": record.user_id,
        "created_at": record.created_at.isoformat(),
        "updated_at": record.updated_at.isoformat(),
        "version": record.version,
        "position": record.position,
        "payload": payload.to_json(record.payload),
    }


def _head(kind: Kind, id: str, row: Row) -> Record:
    """Return a record without its payload, which may be damaged."""
    created, updated = map(datetime.fromisoformat, (row["created_at"], row["updated_at"]))
    return Record(kind, id, row["user_id"], {}, created, updated, row["version"], row["position"])


def _decode(kind: Kind, id: str, row: Row) -> Record | Corrupt:
    try:
        return _head(kind, id, row)._replace(payload=payload.from_json(row["payload"]))
    except (KeyError, TypeError, ValueError) as error:
        return Corrupt(id, row.get("user_id"), row.get("position"), repr(error))


@contextmanager
def _translated() -> Generator[None]:
    """Turn what the driver raises into errors of buddy.memory.errors: the only place that does."""
    try:
        yield
    except MemoryDbError:
        raise  # Ours already. Some of them are OSErrors or ValueErrors, too.
    except (NotADirectoryError, PermissionError) as error:
        raise AccessError(f"newname: {error}") from error
    except OSError as error:
        raise UnavailableError("newname", str(error)) from error
    except ValueError as error:
        raise CorruptMemoryError("the file", str(error)) from error
