"""The narrow waist: what a backend has to be able to do, and nothing else.

A Store knows records, not rows, rules or versions of the API. Write one and the classes in
``buddy.memory.storage`` give it both versions of the API, async, limits, order and ownership.

Primitives are ``async def`` whatever the driver. A store on a synchronous driver simply never
suspends, and ``run`` (see ``buddy.memory.storage.run``) drives it without an event loop; a store
on two drivers awaits through a small adapter and stays one piece of code.

Every primitive raises from the tree in ``buddy.memory.errors`` and nothing else: an empty answer
means that the backend answered (rule R7).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from buddy.memory.errors import MemoryDbError
from buddy.memory.storage.record import Corrupt, Kind, Record, Write


class Store(ABC):
    """One place where records are kept, addressed by kind and id.

    ``user_id=None`` in a filter means all users. A place that was never made reads as empty, is
    not made by reading, and is made by the first write.
    """

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
    async def put(self, write: Write) -> Record:
        """Apply one write atomically, as ``merge`` describes, and return the stored record."""

    @abstractmethod
    async def get(self, kind: Kind, id: str, user_id: str | None) -> Record | Corrupt | None:
        """Return the record (of that user), or None; Corrupt when it cannot be decoded."""

    @abstractmethod
    async def page(
        self,
        kind: Kind,
        user_id: str | None,
        *,
        newest_first: bool,
        after: Any,
        limit: int | None,
    ) -> list[Record | Corrupt]:
        """Return up to ``limit`` (>= 1; None: all) records in order of first writing.

        ``after`` is the position of the last record already seen, or None to start.
        Fewer than ``limit`` mean that there are no more.
        """

    @abstractmethod
    async def delete(
        self, kind: Kind, id: str, user_id: str | None, if_version: int | None
    ) -> bool:
        """Delete one record; False when there is none (of that user).

        Raises ConflictError when ``if_version`` is given and differs from the stored version,
        where a missing record has version 0.
        """

    @abstractmethod
    async def delete_all(self, kind: Kind, user_id: str | None) -> int:
        """Delete every record (of that user) and return how many there were."""

    @abstractmethod
    async def count(self, kind: Kind, user_id: str | None) -> int:
        """Count the records (of that user), unreadable ones included."""

    @abstractmethod
    async def ping(self) -> None:
        """Ask the backend for an answer; return when it came."""

    @abstractmethod
    async def close(self) -> None:
        """Give back what the store itself opened. Called once."""

    # What follows has a correct default; override where the backend does it in one step.

    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        """Apply the writes (ids are distinct) in order and return the records in order.

        Stores all, or raises with ``stored_ids`` set.
        """
        done: list[Record] = []
        for write in writes:
            try:
                done.append(await self.put(write))
            except MemoryDbError as error:
                error.stored_ids = tuple(record.id for record in done)
                raise
        return done

    async def restore(self, writes: Sequence[Write]) -> list[Record]:
        """As ``put_many``, for records that were kept elsewhere: one whose id is new here also
        keeps its version. Without an override that is so where ``put`` stores it as given.
        """
        return await self.put_many(writes)

    async def delete_many(self, kind: Kind, ids: Sequence[str], user_id: str | None) -> int:
        """Delete the records with these distinct ids (of that user); return how many there were."""
        return sum([await self.delete(kind, id, user_id, None) for id in ids])

    async def has(self, kind: Kind, id: str, user_id: str | None) -> bool:
        """Tell whether there is such a record (of that user)."""
        return await self.get(kind, id, user_id) is not None

    async def facts(self) -> dict[str, str]:
        """Return what an operator wants to know, by name: the server's version and the settings
        that decide whether acknowledged writes survive. Asks the backend; no secrets.
        """
        return {}

    def risks(self, facts: Mapping[str, str]) -> list[str]:
        """Return how acknowledged writes may be lost where these are the ``facts``, a clause each:
        what happens, and the setting that makes it so.
        """
        return []

    async def older(self) -> AsyncIterator[list[Record | Corrupt]]:
        """Yield pages of the memories that older software left here and ``upgrade`` would bring up,
        oldest first, with distinct ids. Changes nothing; yields nothing where there are none.
        """
        nothing: tuple[list[Record | Corrupt], ...] = ()
        for page in nothing:
            yield page

    async def upgrade(self) -> None:
        """Bring a place made by an older release up to date; nothing where there is no older one.

        Safe to repeat and to run twice at once.
        """
        await self.ping()  # Most never had another layout; a silent backend still raises (R7).
