"""The narrow waist: what a backend has to be able to do, and nothing else.

A Store knows records, not rows, rules or versions of the API. Write one and the classes in
``buddy.memory.storage`` give it both versions of the API, async, limits, order and identity.

Primitives are ``async def`` whatever the driver. A store on a synchronous driver simply never
suspends, and ``run`` of ``buddy.memory.storage.sync_runner`` drives it without an event loop; a
store on two drivers awaits through a small adapter and stays one piece of code.

Every primitive raises from the tree in ``buddy.memory.errors`` and nothing else: an empty answer
means that the backend answered (rule R7).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from buddy.memory.errors import ConflictError, MemoryDbError
from buddy.memory.storage.record import Corrupt, Key, Kind, Record, Scope, Write


class Ended(NamedTuple):
    """Records past their end: how many are still stored, and the first end among them."""

    rows: int
    since: datetime | None


class Store(ABC):
    """One place where records are kept, addressed by kind, user and id.

    A ``user_id`` of None is nobody: it names the rows without a user and never means everybody.
    A place that was never made reads as empty, is not made by reading, and is made by the first
    write.

    From its ``expires_at`` on a record is not there for anything but ``sweep`` and ``ended``, by
    the server's clock where there is one: reads, counts and marks leave it out, a write stores a
    first version in its place, and deletions remove it without counting it (rule R14).
    """

    sums_stamps: bool = False
    """Whether ``mark`` is ``count:sum``, of the user's records and their stamps."""

    sweep_step: int = 1_000
    """Rows that one step of a sweep removes at most. Steps that take long are made smaller."""

    position_type: type[int] | type[str] = int
    """What positions are; texts are ASCII letters and digits. Cursors with others are refused."""

    # --- the place

    @abstractmethod
    async def create(self) -> None:
        """Make the place. Safe to repeat, and from any number of processes at once."""

    @abstractmethod
    async def exists(self) -> bool:
        """Tell whether the place was made."""

    @abstractmethod
    async def drop(self) -> None:
        """Remove the place with all its records, and nothing else. Fine when there is none."""

    @abstractmethod
    async def ping(self) -> None:
        """Ask the backend for an answer; return when it came."""

    @abstractmethod
    async def close(self) -> None:
        """Give back what the store itself opened. Called once."""

    # --- one record, named by its user and its id

    @abstractmethod
    async def put(self, write: Write) -> Record:
        """Apply one write atomically, as ``merge`` describes, and return the stored record."""

    @abstractmethod
    async def get(self, kind: Kind, user_id: str | None, id: str) -> Record | Corrupt | None:
        """Return the record, or None; Corrupt when it cannot be decoded."""

    @abstractmethod
    async def delete(
        self, kind: Kind, user_id: str | None, id: str, if_version: int | None
    ) -> bool:
        """Delete one record; False when there is none.

        Raises ConflictError when ``if_version`` is given and differs from the stored version,
        where a missing record has version 0.
        """

    # --- records by id alone

    @abstractmethod
    async def find(self, kind: Kind, ids: Sequence[str]) -> list[Record | Corrupt]:
        """Return the records that have one of these distinct ids, whoever's they are, in any order.

        Of an id that more than one user has, any two and no more: the caller refuses it. One round
        trip, however many ids.
        """

    # --- the records of a scope

    @abstractmethod
    async def page(
        self,
        kind: Kind,
        scope: Scope,
        *,
        newest_first: bool,
        after: Any,
        limit: int | None,
    ) -> list[Record | Corrupt]:
        """Return up to ``limit`` (>= 1; None: all) records in order of first writing.

        ``after`` is the position of the last record already seen, or None to start.
        Fewer than ``limit`` mean that there are no more. What it costs depends on the rows of the
        scope, never on those of the store.
        """

    @abstractmethod
    async def count(self, kind: Kind, scope: Scope) -> int:
        """Count the records, unreadable ones included."""

    @abstractmethod
    async def delete_all(self, kind: Kind, scope: Scope) -> int:
        """Delete every record that is there when this begins; return how many there were.

        Ends while others go on writing.
        """

    @abstractmethod
    async def users(
        self, kind: Kind, *, prefix: str, after: str | None, limit: int | None
    ) -> list[str]:
        """Return up to ``limit`` (>= 1; None: all) users who have a record, in code-point order.

        Only those that begin with ``prefix`` and, with ``after``, come behind it; never nobody.
        What it costs depends on the users that it returns, not on their rows.
        """

    @abstractmethod
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
        """Replace payload and vector of the record that still has this stamp; False without one.

        Version, times, end and place stay; the stamp is a new one.
        """

    # --- the end of records

    @abstractmethod
    async def touch(
        self, kind: Kind, user_id: str | None, ids: Sequence[str], ttl: timedelta | None
    ) -> int:
        """Let those of the user's records that are there end ``ttl`` from now on (None: never), by
        the server's clock; return how many these were. Each gets a new stamp; versions and times
        stay. The ids are distinct."""

    @abstractmethod
    async def sweep(self, kind: Kind, limit: int) -> int:
        """Remove up to ``limit`` (>= 1) records that have ended; return how many these were.

        Fewer than ``limit`` mean that there are no more. Safe beside writers and other sweepers.
        """

    # --- what follows has a correct default; override where the backend does it in one step

    async def get_many(self, kind: Kind, keys: Sequence[Key]) -> list[Record | Corrupt | None]:
        """Return what ``get`` would return for each of these distinct keys, in their order.

        One round trip where the backend can.
        """
        return [await self.get(kind, *key) for key in keys]

    async def has(self, kind: Kind, user_id: str | None, id: str) -> bool:
        """Tell whether there is such a record."""
        return await self.get(kind, user_id, id) is not None

    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        """Apply the writes (of one kind, keys are distinct) in order; return the records in order.

        Stores all, or raises with ``stored`` set.
        """
        done: list[Record] = []
        for write in writes:
            try:
                done.append(await self.put(write))
            except MemoryDbError as error:
                error.stored = tuple(record.key for record in done)
                raise
        return done

    async def restore(self, writes: Sequence[Write]) -> list[Key]:
        """Store those of the records (of one kind, keys are distinct) whose key is new here, with
        their versions, in order; return the keys of these. A record that is there is left alone,
        so that this may be repeated, and run twice at once.

        Stores all that are new, or raises with ``stored`` set.
        """
        stored: list[Key] = []
        for write in writes:
            try:
                await self.put(write._replace(if_version=0))
                stored.append(write.record.key)
            except ConflictError:
                continue
            except MemoryDbError as error:
                error.stored = tuple(stored)
                raise
        return stored

    async def delete_many(self, kind: Kind, keys: Sequence[Key]) -> int:
        """Delete the records with these distinct keys; return how many there were."""
        return sum([await self.delete(kind, *key, None) for key in keys])

    async def mark(self, kind: Kind, user_id: str | None) -> str | None:
        """Return a token of the user's records: equal tokens mean the same records in the same
        states (rule R18). None where the backend has none. Costs less than reading them.
        """
        return None

    def next_mark(self, mark: str, old: int | None, new: int | None) -> str | None:
        """Return the mark after one change to what ``mark`` stands for: a record's stamp ``old``
        (None: there was no record) became ``new`` (None: it was deleted). None where the backend
        cannot tell.
        """
        if not self.sums_stamps:
            return None
        count, total = map(int, mark.split(":"))
        count += (new is not None) - (old is not None)
        return f"{count}:{total + (new or 0) - (old or 0)}"

    async def stamps(self, kind: Kind, user_id: str | None) -> list[tuple[str, int | None]]:
        """Return id and stamp of each record of the user, in the order of first writing.

        Costs less than reading the records where the backend can. Records that cannot be read may
        be left out.
        """
        page = await self.page(
            kind, Scope.of_user(user_id), newest_first=False, after=None, limit=None
        )
        return [(item.id, item.stamp) for item in page if isinstance(item, Record)]

    async def ended(self, kind: Kind) -> Ended | None:
        """Return how many records have ended and are still stored; None where that is not known."""
        return None

    async def generation(self, kind: Kind) -> str:
        """Return a token that is another one when positions may have begun anew: after the place
        was dropped and made again, for one. ``""`` where positions never repeat.
        """
        return ""

    def data_files(self) -> tuple[Path, ...]:
        """Return the files of this machine that hold the records, as far as they are known: nothing
        else may be written there."""
        return ()

    async def server_info(self) -> dict[str, str]:
        """Return what an operator wants to know, by name: the server's version and the settings
        that decide whether acknowledged writes survive. Asks the backend; no secrets.
        """
        return {}

    def durability_warnings(self, info: Mapping[str, str]) -> list[str]:
        """Return how acknowledged writes may be lost where this is the ``server_info``: a clause
        each, of what happens and the setting that makes it so.
        """
        return []

    async def legacy_records(self) -> AsyncIterator[list[Record | Corrupt]]:
        """Yield pages of the memories that older software left here and ``upgrade`` would bring up,
        oldest first, with distinct keys. Changes nothing; yields nothing where there are none.
        """
        nothing: tuple[list[Record | Corrupt], ...] = ()
        for page in nothing:
            yield page

    async def delete_legacy(self, user_id: str | None) -> int:
        """Delete what older software left here of that user; return how many memories there were.

        For stores that keep such rows beside their own; nothing where there are none.
        """
        return 0

    async def upgrade(self) -> None:
        """Bring a place made by older software up to date; nothing where there is none.

        Safe to repeat and to run twice at once.
        """
        await self.ping()  # Most never had another layout; a silent backend still raises (R7).
