"""The synchronous databases that have a Store: what is theirs beside the contract."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from buddy.memory.errors import CorruptMemoryError
from buddy.memory.rows import RowLike, StoredSummaryRow, SummaryLike
from buddy.memory.storage.database_base import StoreBackedDatabase
from buddy.memory.storage.expiry import Ttl
from buddy.memory.storage.memory_methods import PAGE_SIZE, MemoryContract
from buddy.memory.storage.record import Corrupt, Key, Kind, Record, Scope
from buddy.memory.storage.store import Ended
from buddy.memory.storage.sync_runner import iterate, run
from buddy.memory.storage.users import NOBODY, Nobody

RowT = TypeVar("RowT")


class StoreBackedContract(StoreBackedDatabase, MemoryContract[RowT]):
    """The abstract methods of MemoryContract, answered by a Store, and what copies need."""

    # --- the store as a whole

    def create(self) -> None:
        run(self._rules.store.create())

    def table_exists(self) -> bool:
        return run(self._rules.store.exists())

    def drop_table(self) -> None:
        run(self._rules.store.drop())

    def clear(self) -> bool:
        return run(self._rules.clear())

    def upgrade(self) -> None:
        run(self._rules.store.upgrade())

    def ping(self) -> None:
        run(self._rules.store.ping())

    def close(self) -> None:
        run(self._rules.close())

    # --- rows

    def memory_exists(self, memory: RowLike) -> bool:
        return run(self._operations.exists(Kind.MEMORY, memory))

    def read_memories(
        self,
        user_id: str | Nobody | None = None,
        limit: int | None = None,
        sort: str | None = None,
        *,
        user_prefix: str | None = None,
    ) -> list[RowT]:
        return run(self._operations.read(Kind.MEMORY, user_id, user_prefix, limit, sort))

    def upsert_memory(
        self, memory: RowLike, *, if_version: int | None = None, ttl: Ttl = None
    ) -> RowT:
        row: RowT = run(self._operations.upsert(Kind.MEMORY, memory, if_version, ttl))
        return row

    def upsert_summary(
        self, summary: SummaryLike, *, if_version: int | None = None, ttl: Ttl = None
    ) -> StoredSummaryRow:
        row: StoredSummaryRow = run(self._operations.upsert(Kind.SUMMARY, summary, if_version, ttl))
        return row

    def delete_summary(
        self,
        session_id: str,
        *,
        user_id: str | Nobody | None = None,
        if_version: int | None = None,
    ) -> bool:
        return run(self._operations.delete(Kind.SUMMARY, session_id, user_id, if_version))

    # --- from and to other stores

    def restore_memories(self, memories: Iterable[RowLike]) -> list[RowT]:
        """Store those rows that are new here, with their versions and ends; return these, in order.

        For rows with distinct users and ids that were read from another store. A row that is there
        is left alone: this may be repeated, and run twice at once.
        """
        return run(self._operations.restore(Kind.MEMORY, memories))

    def restore_summaries(self, summaries: Iterable[SummaryLike]) -> list[StoredSummaryRow]:
        """As ``restore_memories``."""
        return run(self._operations.restore(Kind.SUMMARY, summaries))

    def iter_records(
        self,
        kind: Kind,
        scope: Scope,
        skipped: Callable[[int], object] = lambda rows: None,
        *,
        newest_first: bool = False,
    ) -> Iterator[Record]:
        """Yield what ``iter_memories`` or ``iter_summaries`` would, as records. ``skipped`` is
        told how many unreadable ones were passed."""
        after: Any = None
        while True:
            records, after = run(
                self._rules.page(kind, scope, newest_first, PAGE_SIZE, after, skipped)
            )
            yield from records
            if after is None:
                return

    def restore_records(self, records: Iterable[Record]) -> list[Record]:
        """As ``restore_memories`` or ``restore_summaries``, for records of one kind."""
        return run(self._rules.restore(records))

    def overwrite_records(self, records: Iterable[Record]) -> list[Record]:
        """Store records of one kind, with their ends and vectors, also over rows that are there;
        return what is stored, in order."""
        return run(self._rules.overwrite(records))

    def read_record(self, kind: Kind, key: Key) -> Record | None:
        """Return the record of exactly that user (None: nobody) and id, or None."""
        user = NOBODY if key.user_id is None else key.user_id
        return run(self._rules.get(kind, key.id, user))

    def rewrite_record(
        self, record: Record, *, payload: dict[str, Any], vector: bytes | None
    ) -> bool:
        """Replace payload and vector of a row that is stored as ``record``, which was read from
        here; False where it was changed since. Version, times, end and place stay."""
        return run(self._rules.rewrite(record, payload, vector))

    def iter_legacy_memories(self) -> Iterator[RowT | CorruptMemoryError]:
        """Yield the memories that older software left here and ``upgrade`` would bring up, oldest
        first, without changing anything; one that cannot be read as the error that names it."""
        to_row = self._mappings[Kind.MEMORY].row
        for page in iterate(self._rules.store.legacy_records()):
            for item in page:
                if isinstance(item, Corrupt):
                    yield CorruptMemoryError(item.id, item.reason)
                else:
                    yield to_row(item)

    def expired_rows(self) -> Ended:
        """Return how many rows have expired and are still stored, and the first end among them
        (None: there are none)."""
        store = self._rules.store
        found = [ended for kind in Kind if (ended := run(store.ended(kind))) is not None]
        ends = [ended.since for ended in found if ended.since is not None]
        return Ended(sum(ended.rows for ended in found), min(ends, default=None))

    def data_files(self) -> tuple[Path, ...]:
        """Return the files of this machine that hold the rows, as far as they are known."""
        return self._rules.store.data_files()

    def server_info(self) -> dict[str, str]:
        """Return what the backend tells of itself: its version, the settings that matter."""
        return run(self._rules.store.server_info())

    def durability_warnings(self, info: Mapping[str, str]) -> list[str]:
        """Return how acknowledged writes may be lost where this is the ``server_info``."""
        return self._rules.store.durability_warnings(info)
