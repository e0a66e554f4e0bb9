"""Seal everything with the newest key, so that older ones can be thrown away."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from buddy.memory import plugins
from buddy.memory.errors import ConflictError
from buddy.memory.storage.record import Kind
from buddy.memory.v2.db.base import MemoryDb
from buddy_memory_encryption.plugin import Encryption, Notice, noticing


class Rotation(NamedTuple):
    """How many rows were sealed anew, and how many could not be read and stayed as they are."""

    rewritten: int
    unreadable: int


def rotate(db: MemoryDb) -> Rotation:
    """Store anew every memory and summary that is not sealed with the newest key.

    May run while others read and write, be interrupted, and be repeated: what others write
    meanwhile stays. Rows that are written anew get a new version and time of update. Raises
    RuntimeError where no Encryption is active, and what the database raises.
    """
    manager = plugins.active()
    if manager is None or not any(isinstance(p, Encryption) for p in manager.get_plugins()):
        raise RuntimeError("no Encryption is among the active plugins")
    with noticing() as notice:
        memories = _rotate(
            notice, Kind.MEMORY, db.iter_memories(), db.read_memory, db.upsert_memory
        )
        summaries = _rotate(
            notice, Kind.SUMMARY, db.iter_summaries(), db.read_summary, db.upsert_summary
        )
        return Rotation(memories + summaries, len(notice.unreadable))


def _rotate(
    notice: Notice,
    kind: Kind,
    rows: Iterable[Any],
    read: Callable[[str], Any],
    write: Callable[..., Any],
) -> int:
    rewritten = 0
    for seen in rows:
        row = seen
        while row is not None and (kind, row.id) in notice.stale:
            notice.stale.discard((kind, row.id))
            try:
                write(row, if_version=row.version)
                rewritten += 1
            except ConflictError:  # Somebody else wrote it, with whichever key, or deleted it.
                row = read(row.id)
    return rewritten
