"""Seal everything with the newest key, so that older ones can be thrown away."""

from __future__ import annotations

import logging
from typing import NamedTuple

from buddy.memory import plugins
from buddy.memory.errors import CorruptMemoryError
from buddy.memory.storage.record import EVERYBODY, Kind, Record
from buddy.memory.storage.sync_database import StoreBackedContract
from buddy.memory.v2.db.base import MemoryDb
from buddy_memory_encryption.plugin import Encryption, Notice, noticing

logger = logging.getLogger("buddy.memory")


class Rotation(NamedTuple):
    """How many rows were sealed again, and how many could not be read and stayed as they are; and
    how many keys of users were sealed again."""

    rewritten: int
    unreadable: int
    user_keys: int = 0


def rotate(db: MemoryDb) -> Rotation:
    """Seal every memory and summary again that is not sealed with the newest key, or with the key
    of its user where users have keys; of these, seal the keys again and leave the rows alone.

    May run while others read and write, be interrupted, and be repeated: what others write
    meanwhile stays. Versions, times and ends of rows stay as well. Raises RuntimeError where no
    Encryption is active, and what the database raises.
    """
    keys = encryption().user_keys
    if not isinstance(db, StoreBackedContract):
        raise RuntimeError(f"{type(db).__name__} has no Store, and so nothing in it is sealed")
    with noticing() as notice:
        rewritten = sum(_rotate(notice, db, kind) for kind in Kind)
        return Rotation(rewritten, len(notice.unreadable), 0 if keys is None else keys.rekey())


def encryption() -> Encryption:
    """Return the Encryption among the active plugins. Raises RuntimeError without one."""
    manager = plugins.active()
    for plugin in [] if manager is None else manager.get_plugins():
        if isinstance(plugin, Encryption):
            return plugin
    raise RuntimeError("no Encryption is among the active plugins")


def _rotate(notice: Notice, db: StoreBackedContract[object], kind: Kind) -> int:
    rewritten = 0
    for seen in db.iter_records(kind, EVERYBODY):
        record: Record | None = seen
        while record is not None and (kind, record.key) in notice.stale:
            notice.stale.discard((kind, record.key))
            if db.rewrite_record(record, payload=record.payload, vector=record.vector):
                rewritten += 1
            else:  # Another client wrote it, with whichever key, or deleted it.
                record = _read_again(db, record)
    return rewritten


def _read_again(db: StoreBackedContract[object], record: Record) -> Record | None:
    """Return the record as it is now; None, with a warning that names it, when it has become
    unreadable, which the notice counts."""
    try:
        return db.read_record(record.kind, record.key)
    except CorruptMemoryError as error:
        logger.warning("%s: it stays as it is", error)
        return None
