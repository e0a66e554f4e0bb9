"""Memories of older software, moved to where they are kept now."""

from __future__ import annotations

from typing import Any

from buddy.memory.storage import clock, legacy
from buddy.memory.storage.record import Corrupt, Kind, Record, new_stamp
from buddy_memory_firestore import calls as requests
from buddy_memory_firestore.deadline import Deadline
from buddy_memory_firestore.encoding import to_document
from buddy_memory_firestore.errors import PreconditionFailed
from buddy_memory_firestore.legacy import candidates, places, read
from buddy_memory_firestore.rows import Rows
from buddy_memory_firestore.schema import Schema, State


async def run(rows: Rows, schema: Schema) -> None:
    """Move every legacy row, in the order of creation. Safe to repeat, and to run twice at once."""
    _, state = await schema.state(rows.calls)
    if state is not State.LEGACY:
        return
    await rows.calls.commit(
        [
            await schema.marking(Kind.MEMORY, upgrading=True),
            await schema.marking(Kind.SUMMARY),
        ]
    )
    positions = await rows.positions(Kind.MEMORY)
    for place in await places(rows.calls, rows.collections[Kind.MEMORY]):
        deadline = Deadline(rows.calls.connection.timeout)
        while not await _move(rows, place.path, positions.take()):
            # Another client moved or changed it at this moment: look again.
            await rows.calls.again(deadline, f"others keep writing {place.path!r}")
    await rows.calls.commit([await schema.marking(Kind.MEMORY)])
    rows.recent.clear()
    schema.forget()


async def _move(rows: Rows, path: str, position: str) -> bool:
    """Move the legacy row to its new place, in one commit; False: look again."""
    old = (await rows.calls.get([path])).get(path)
    if old is None:
        return True  # Moved by another client.
    names = candidates(read(path, old), path)
    taken = await rows.look_many(Kind.MEMORY, [row.key for row in names])
    row = next((row for row in names if row.key not in taken), names[-1])
    new_path = rows.path(Kind.MEMORY, row.key)
    name = await rows.calls.name(new_path)
    new = requests.Write(update=_document(name, new_path, row, position, old.fields))
    new.current_document.exists = False
    gone = requests.Write(delete=old.name)
    gone.current_document.update_time.CopyFrom(old.update_time)
    try:
        await rows.calls.commit([new, gone])
    except PreconditionFailed:
        return False
    return True


def _document(name: str, path: str, row: Record | Corrupt, position: str, fields: Any) -> Any:
    """Return what to write for a legacy row; the fields of an unreadable one stay as they are."""
    if isinstance(row, Record):
        return to_document(name, path, row._replace(position=position, stamp=new_stamp()))
    now = clock.utc_now()
    record = Record(Kind.MEMORY, row.user_id, row.id, {}, now, now)
    document = to_document(name, path, record._replace(position=position, stamp=new_stamp()))
    for field in legacy.FIELDS[1:]:
        if field in fields:
            document.fields[field].CopyFrom(fields[field])
    return document
