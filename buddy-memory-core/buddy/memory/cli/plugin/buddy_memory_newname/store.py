"""The Store: what a backend has to be able to do. Replace the JSON file by your driver."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any, TypeVar
from urllib.parse import quote

from buddy.memory.errors import ConflictError, CorruptMemoryError, SchemaError
from buddy.memory.storage import clock
from buddy.memory.storage.record import Corrupt, Key, Kind, Record, Scope, Write, merge, new_stamp
from buddy.memory.storage.store import Store
from buddy_memory_newname.encoding import (
    Row,
    decode,
    dump_end,
    encode,
    from_key,
    head,
    to_key,
)
from buddy_memory_newname.errors import translated
from buddy_memory_newname.files import Content, JsonFile

T = TypeVar("T")


class NewnameStore(Store):
    """A store in one file: its generation, the last position given, and the rows of each kind.

    An object keeps the order in which its keys were added, and a changed one its place: that is
    the order of first writing (rule R3).
    """

    sums_stamps = True

    def __init__(self, folder: Path, table_name: str) -> None:
        self._file = JsonFile(folder / f"{quote(table_name, safe='')}.json")

    # --- the place

    async def create(self) -> None:
        if not await self.exists():
            self._change(lambda content: None)

    async def exists(self) -> bool:
        return self._read() is not None

    async def drop(self) -> None:
        if await self.exists():
            with translated(), self._file.locked():
                self._file.remove()

    async def ping(self) -> None:
        await self.exists()

    async def close(self) -> None:
        """Nothing is kept open. Close here what the Store itself opened."""

    async def generation(self, kind: Kind) -> str:
        return str((self._read() or {"generation": ""})["generation"])

    def _read(self) -> Content | None:
        with translated():
            content = self._file.read()
        if content is not None and "generation" not in content:
            raise SchemaError(f"{self._file.path} is not one of our stores.", "Name another one.")
        return content

    # --- writing: read, decide and write under one lock, so that each call is atomic

    async def put(self, write: Write) -> Record:
        return self._change(lambda content: _put(content, write))

    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        return self._change(lambda content: [_put(content, write) for write in writes])

    async def restore(self, writes: Sequence[Write]) -> list[Key]:
        def work(content: Content) -> list[Key]:
            there = _living(content[writes[0].record.kind.value])
            new = [write for write in writes if to_key(*write.record.key) not in there]
            return [_put(content, write).key for write in new]

        return self._change(work)

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
        def work(content: Content) -> bool:
            rows, key = _living(content[kind.value]), to_key(user_id, id)
            if key not in rows or rows[key]["stamp"] != if_stamp:
                return False
            stored = head(kind, key, rows[key])
            new = stored._replace(payload=payload, vector=vector, stamp=new_stamp())
            content[kind.value][key] = encode(new)
            return True

        return self._change(work, make=False)

    def _change(self, work: Callable[[Content], T], *, make: bool = True) -> T:
        """Return what ``work`` does to the content, and keep it; an error leaves all as it was."""
        if make:
            with translated():
                self._file.path.parent.mkdir(parents=True, exist_ok=True)
        elif self._read() is None:
            return work(_empty())
        with translated(), self._file.locked():
            found = self._read()
            content = _empty() if found is None else found
            result = work(content)
            if make or found is not None:
                self._file.write(content)
            return result

    # --- reading

    async def get(self, kind: Kind, user_id: str | None, id: str) -> Record | Corrupt | None:
        (found,) = await self.get_many(kind, [Key(user_id, id)])
        return found

    async def get_many(self, kind: Kind, keys: Sequence[Key]) -> list[Record | Corrupt | None]:
        rows = self._rows(kind)
        names = [to_key(*key) for key in keys]
        return [decode(kind, name, rows[name]) if name in rows else None for name in names]

    async def find(self, kind: Kind, ids: Sequence[str]) -> list[Record | Corrupt]:
        rows = self._rows(kind)
        keys_of: dict[str, list[str]] = {id: [] for id in ids}
        for key in rows:
            keys_of.get(from_key(key).id, []).append(key)
        # Two rows of an id are enough.
        return [decode(kind, key, rows[key]) for keys in keys_of.values() for key in keys[:2]]

    async def page(
        self,
        kind: Kind,
        scope: Scope,
        *,
        newest_first: bool,
        after: Any,
        limit: int | None,
    ) -> list[Record | Corrupt]:
        rows = self._rows(kind)
        keys = [
            key
            for key in _keys(rows, scope)
            if after is None
            or (rows[key]["position"] < after if newest_first else rows[key]["position"] > after)
        ]
        if newest_first:
            keys.reverse()
        return [decode(kind, key, rows[key]) for key in keys[:limit]]

    async def count(self, kind: Kind, scope: Scope) -> int:
        return len(_keys(self._rows(kind), scope))

    async def users(
        self, kind: Kind, *, prefix: str, after: str | None, limit: int | None
    ) -> list[str]:
        users = {from_key(key).user_id for key in _keys(self._rows(kind), Scope.of_prefix(prefix))}
        named = (user for user in users if user is not None and (after is None or user > after))
        return sorted(named)[:limit]

    async def mark(self, kind: Kind, user_id: str | None) -> str:
        rows = self._rows(kind)
        stamps = [rows[key]["stamp"] for key in _keys(rows, Scope.of_user(user_id))]
        return f"{len(stamps)}:{sum(stamps)}"

    def _rows(self, kind: Kind) -> dict[str, Row]:
        return _living((self._read() or _empty())[kind.value])

    # --- the end of rows

    async def touch(
        self, kind: Kind, user_id: str | None, ids: Sequence[str], ttl: timedelta | None
    ) -> int:
        def work(content: Content) -> int:
            rows, end = _living(content[kind.value]), None if ttl is None else clock.utc_now() + ttl
            keys = [key for id in ids if (key := to_key(user_id, id)) in rows]
            for key in keys:
                row = content[kind.value][key]
                row["expires_at"], row["stamp"] = dump_end(end), new_stamp()
            return len(keys)

        return self._change(work, make=False)

    async def sweep(self, kind: Kind, limit: int) -> int:
        def work(content: Content) -> int:
            rows = content[kind.value]
            doomed = [*(rows.keys() - _living(rows).keys())][:limit]
            return sum(rows.pop(key) is not None for key in doomed)

        return self._change(work, make=False)

    # --- deleting

    async def delete(
        self, kind: Kind, user_id: str | None, id: str, if_version: int | None
    ) -> bool:
        def work(content: Content) -> bool:
            living, key = _living(content[kind.value]), to_key(user_id, id)
            version = living[key]["version"] if key in living else 0
            if if_version is not None and if_version != version:
                raise ConflictError(id, if_version, version)
            content[kind.value].pop(key, None)
            return key in living

        return self._change(work, make=False)

    async def delete_many(self, kind: Kind, keys: Sequence[Key]) -> int:
        def work(content: Content) -> int:
            living, names = _living(content[kind.value]), [to_key(*key) for key in keys]
            for name in names:
                content[kind.value].pop(name, None)
            return sum(name in living for name in names)

        return self._change(work, make=False)

    async def delete_all(self, kind: Kind, scope: Scope) -> int:
        def work(content: Content) -> int:
            rows, count = content[kind.value], len(_keys(_living(content[kind.value]), scope))
            for key in _keys(rows, scope):
                del rows[key]
            return count

        return self._change(work, make=False)


def _empty() -> Content:
    return {"generation": token_hex(8), "last": 0, **{kind.value: {} for kind in Kind}}


def _living(rows: dict[str, Row]) -> dict[str, Row]:
    """Return the rows that have not ended (rule R14)."""
    now = dump_end(clock.utc_now()) or ""
    return {key: row for key, row in rows.items() if not (row["expires_at"] or now + "0") <= now}


def _keys(rows: dict[str, Row], scope: Scope) -> list[str]:
    """Return the keys of a scope's rows in the order of first writing."""
    return [key for key in rows if scope.covers(from_key(key).user_id)]


def _put(content: Content, write: Write) -> Record:
    kind, user_id, id = write.record[:3]
    rows, key = content[kind.value], to_key(user_id, id)
    try:
        stored = head(kind, key, rows[key]) if key in rows else None
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptMemoryError(id, repr(error)) from None
    merged = merge(stored, write, clock.utc_now())  # Raises ConflictError.
    if merged.position is None:
        rows.pop(key, None)  # A row that has ended gives its place up.
        content["last"] += 1
        merged = merged._replace(position=content["last"])
    rows[key] = encode(merged)
    return merged
