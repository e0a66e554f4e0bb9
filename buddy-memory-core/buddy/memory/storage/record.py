"""What travels between policy and a Store: records, writes, and rows that cannot be read."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum
from typing import Any, NamedTuple

from buddy.memory.errors import ConflictError, OwnerMismatchError

TICK = timedelta(microseconds=1)


class Kind(str, Enum):
    """The two collections that every store keeps apart. Ids are unique within a kind."""

    MEMORY = "memory"
    SUMMARY = "summary"


class Record(NamedTuple):
    """One stored row, the same for every version of the API and every backend.

    ``payload`` is a JSON object (see ``buddy.memory.payload``). Times are aware, in UTC.
    ``version`` counts the writes from 1. ``position`` is the row's place in the order of first
    writing: set by the store in what it reads (and may be None in what it wrote), sortable, unique
    in its kind, otherwise opaque.
    """

    kind: Kind
    id: str
    user_id: str | None
    payload: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    version: int = 1
    position: Any = None


class Draft(NamedTuple):
    """A row as a caller handed it in: nothing is checked yet."""

    kind: Kind
    id: Any
    user_id: Any
    payload: Any
    created_at: Any = None
    updated_at: Any = None


class Write(NamedTuple):
    """An upsert to be done in one atomic step.

    ``record`` is what to store when the id is new. When it is not, only its payload is taken and
    ``now`` becomes the time of the update. ``if_version`` is the version that must be stored
    (0: no row), or None for any.
    """

    record: Record
    now: datetime
    if_version: int | None = None


class Corrupt(NamedTuple):
    """A stored row that cannot be decoded; takes its place in pages so that paging goes on."""

    id: str
    user_id: str | None
    position: Any
    reason: str


def merge(stored: Record | None, write: Write) -> Record:
    """Return what a store holds after ``write``, given what it holds before (rules R1, R2, R13).

    The reference for every backend, and directly usable by those that write in a loop of
    read, decide and compare-and-set. Raises OwnerMismatchError or ConflictError.
    """
    new, expected = write.record, write.if_version
    if stored is not None and stored.user_id != new.user_id:
        raise OwnerMismatchError(new.id)
    actual = 0 if stored is None else stored.version
    if expected is not None and expected != actual:
        raise ConflictError(new.id, expected, actual)
    if stored is None:
        return new
    moved = max(write.now, stored.updated_at + TICK)
    return stored._replace(payload=new.payload, updated_at=moved, version=actual + 1)
