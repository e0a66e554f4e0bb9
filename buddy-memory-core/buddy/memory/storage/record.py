"""What travels between the rules and a Store: records, writes, scopes, and unreadable rows."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum
from random import getrandbits
from typing import Any, NamedTuple, cast

from buddy.memory.errors import ConflictError, CorruptMemoryError

TICK = timedelta(microseconds=1)

MAX_VERSION = 2**52
"""The greatest version that a row from elsewhere may have: every backend counts exactly to twice as
many."""

STAMP_BITS = 40
"""Bits of a stamp: the sum over millions of rows stays within 64 bits and within a double."""


def check_stored(id: str, version: int) -> None:
    """Raise ValueError for an id or a version that no row is written with: one edited by hand,
    which no other backend would take."""
    if not 0 < version <= 2 * MAX_VERSION:
        raise ValueError(f"the version {version} is none")
    if not id or "\0" in id:
        raise ValueError("the id is empty, or has U+0000 in it")


class Kind(str, Enum):
    """The two collections that every store keeps apart."""

    MEMORY = "memory"
    SUMMARY = "summary"


class Key(NamedTuple):
    """What names a row within its kind; a ``user_id`` of None is nobody's row (rule R1)."""

    user_id: str | None
    id: str


class Record(NamedTuple):
    """One stored row, the same for every version of the API and every backend.

    ``payload`` is a JSON object (see ``buddy.memory.payload``). Times are aware, in UTC.
    ``version`` counts the writes from 1. ``expires_at`` is the end of the row, None for never.
    ``vector`` holds the row's embeddings in their stored form, None without.

    ``stamp`` is an int that every change of the stored row replaces. ``position`` is the row's
    place in the order of first writing: an int or a str, sortable, unique in its kind, otherwise
    opaque. The store sets it in what it reads; in what a write returns both may be None.
    """

    kind: Kind
    user_id: str | None
    id: str
    payload: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    version: int = 1
    expires_at: datetime | None = None
    vector: bytes | None = None
    stamp: int | None = None
    position: Any = None

    @property
    def key(self) -> Key:
        """What names the row."""
        return Key(self.user_id, self.id)


class Draft(NamedTuple):
    """A row as a caller handed it in: nothing is checked yet."""

    kind: Kind
    user_id: Any
    id: Any
    payload: Any
    created_at: Any = None
    updated_at: Any = None
    expires_at: Any = None


class Write(NamedTuple):
    """An upsert to be done in one atomic step.

    ``record`` is what to store when its key is new: no row has it, or one that has expired. When it
    is not, its payload, end, ``vector`` and ``stamp`` are taken, and ``now`` becomes the time of
    the update. ``if_version`` is the version that must be stored (0: no row), or None for any.

    The end is ``ttl`` from the moment of the write on, by the server's clock where there is one;
    without a ``ttl`` it is that of ``record``. With ``keep`` a row that is there keeps its own.
    """

    record: Record
    now: datetime
    if_version: int | None = None
    ttl: timedelta | None = None
    keep: bool = False

    @property
    def has_end(self) -> bool:
        """Whether the stored row may have an end."""
        return self.keep or self.ttl is not None or self.record.expires_at is not None

    def end(self, clock: datetime) -> datetime | None:
        """Return the end of a new row that is written when it is ``clock``."""
        return self.record.expires_at if self.ttl is None else clock + self.ttl


class Corrupt(NamedTuple):
    """A stored row that cannot be decoded; takes its place in pages so that paging goes on.

    ``of_forgotten`` says that all rows of its user are so, for good: one warning tells them all.
    """

    user_id: str | None
    id: str
    position: Any
    reason: str
    of_forgotten: bool = False

    @property
    def key(self) -> Key:
        """What names the row."""
        return Key(self.user_id, self.id)


class Reach(Enum):
    """How many users a Scope covers."""

    EVERYBODY = "everybody"
    USER = "user"
    PREFIX = "prefix"


class Scope(NamedTuple):
    """Whose rows a page, a count or a deletion is about.

    ``name`` is the user of ``Reach.USER`` (None: nobody) and the prefix of ``Reach.PREFIX``.
    """

    reach: Reach
    name: str | None = None

    @classmethod
    def of_user(cls, user_id: str | None) -> Scope:
        """Return the scope of one user's rows; None: of the rows without a user."""
        return cls(Reach.USER, user_id)

    @classmethod
    def of_prefix(cls, prefix: str) -> Scope:
        """Return the scope of all users who begin with ``prefix``; "" is every named one."""
        return cls(Reach.PREFIX, prefix)

    def covers(self, user_id: str | None) -> bool:
        """Tell whether the rows of that user (None: nobody) are in the scope."""
        if self.reach is Reach.EVERYBODY:
            return True
        if self.reach is Reach.USER:
            return user_id == self.name
        return user_id is not None and user_id.startswith(self.name or "")


EVERYBODY = Scope(Reach.EVERYBODY)
"""The scope of all rows."""


def new_stamp() -> int:
    """Return a stamp for a state of a row that is about to be stored."""
    return getrandbits(STAMP_BITS)


def checked(record: Record) -> Record:
    """Return a record that was read, if each field but the payload has its type.

    For stores that would take any value for any field. Raises ValueError.
    """
    read = cast("tuple[Any, ...]", record)
    kind, user_id, id, _, created, updated, version, end, vector, stamp, _ = read
    times = [created, updated] if end is None else [created, updated, end]
    are_times = all(isinstance(time, datetime) and time.tzinfo for time in times)
    if not (are_times and type(id) is str and type(version) is type(stamp) is int):
        raise ValueError(f"a field of this {kind.value} has the wrong type")
    if not ((user_id is None or type(user_id) is str) and isinstance(vector, (bytes, type(None)))):
        raise ValueError("the user or the vector has the wrong type")
    check_stored(id, version)
    if user_id and "\0" in user_id:
        raise ValueError("the user has U+0000 in it")
    return record


def has_ended(record: Record, clock: datetime) -> bool:
    """Tell whether the row does not exist any more when it is ``clock`` (rule R14)."""
    return record.expires_at is not None and record.expires_at <= clock


def later(id: str, time: datetime) -> datetime:
    """Return the next time. Raises CorruptMemoryError for the last one, which no write leaves."""
    try:
        return time + TICK
    except OverflowError as error:
        raise CorruptMemoryError(id, f"updated_at: {error}") from None


def merge(stored: Record | None, write: Write, clock: datetime) -> Record:
    """Return what a store holds after ``write``, given what it holds before (rules R2, R13, R14).

    The reference for every backend, and directly usable by those that write in a loop of
    read, decide and compare-and-set. ``stored`` is the row with the write's own key, ``clock`` the
    current time. Where ``stored`` has expired the result is a new row, without a position.
    Raises ConflictError, and CorruptMemoryError where no time is later than that of ``stored``.
    """
    if stored is not None and has_ended(stored, clock):
        stored = None
    new, expected = write.record, write.if_version
    actual = 0 if stored is None else stored.version
    if expected is not None and expected != actual:
        raise ConflictError(new.id, expected, actual)
    stamp = new_stamp() if new.stamp is None else new.stamp
    if stored is None:
        return new._replace(expires_at=write.end(clock), stamp=stamp)
    return stored._replace(
        payload=new.payload,
        updated_at=max(write.now, later(new.id, stored.updated_at)),
        version=actual + 1,
        expires_at=stored.expires_at if write.keep else write.end(clock),
        vector=new.vector,
        stamp=stamp,
    )
