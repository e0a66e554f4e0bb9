"""The synchronous face of a Store, for both versions of the API: rows in, rows out.

Each method drives the one coroutine of ``Policy`` with ``run``; ``AsyncStoredMemoryDb`` awaits
the same one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from buddy.memory.errors import CorruptMemoryError
from buddy.memory.storage.contract import PAGE_SIZE, MemoryContract
from buddy.memory.storage.record import Corrupt, Draft, Kind, Record
from buddy.memory.storage.run import iterate, run
from buddy.memory.storage.settings import Settings
from buddy.memory.storage.shapes import SUMMARY, Shape
from buddy.memory.v2.db.schema import SummaryRow

RowT = TypeVar("RowT")
AnyRow = TypeVar("AnyRow")


class StoredContract(Settings, MemoryContract[RowT]):
    """Every method of MemoryContract, answered by a Store."""

    _shape: Shape[RowT]

    # --- the store as a whole

    def create(self) -> None:
        run(self._policy.store.create())

    def table_exists(self) -> bool:
        return run(self._policy.store.exists())

    def drop_table(self) -> None:
        run(self._policy.store.drop())

    def clear(self) -> bool:
        return run(self._policy.clear())

    def upgrade(self) -> None:
        run(self._policy.store.upgrade())

    def ping(self) -> None:
        run(self._policy.store.ping())

    def close(self) -> None:
        run(self._policy.close())

    # --- memories

    def memory_exists(self, memory: RowT) -> bool:
        return self._exists(self._shape, memory)

    def read_memories(
        self, user_id: str | None = None, limit: int | None = None, sort: str | None = None
    ) -> list[RowT]:
        return self._read(self._shape, user_id, limit, sort)

    def upsert_memory(self, memory: RowT, *, if_version: int | None = None) -> RowT:
        return self._upsert(self._shape, memory, if_version)

    def upsert_memories(self, memories: Iterable[RowT]) -> list[RowT]:
        return self._upsert_many(self._shape, memories)

    def read_memory(self, id: str, *, user_id: str | None = None) -> RowT | None:
        return self._read_one(self._shape, id, user_id)

    def iter_memories(
        self, user_id: str | None = None, sort: str | None = None, page_size: int = PAGE_SIZE
    ) -> Iterator[RowT]:
        return self._iterate(self._shape, user_id, sort, page_size)

    def count_memories(self, user_id: str | None = None) -> int:
        return run(self._policy.count(self._shape.kind, user_id))

    def delete_memories(self, ids: Iterable[str], *, user_id: str | None = None) -> int:
        return run(self._policy.delete_many(self._shape.kind, ids, user_id))

    def delete_user(self, user_id: str) -> dict[str, int]:
        return run(self._policy.delete_user(user_id))

    # --- session summaries

    def upsert_summary(self, summary: SummaryRow, *, if_version: int | None = None) -> SummaryRow:
        return self._upsert(SUMMARY, summary, if_version)

    def upsert_summaries(self, summaries: Iterable[SummaryRow]) -> list[SummaryRow]:
        return self._upsert_many(SUMMARY, summaries)

    def read_summary(self, session_id: str, *, user_id: str | None = None) -> SummaryRow | None:
        return self._read_one(SUMMARY, session_id, user_id)

    def read_summaries(
        self, user_id: str | None = None, limit: int | None = None, sort: str | None = None
    ) -> list[SummaryRow]:
        return self._read(SUMMARY, user_id, limit, sort)

    def iter_summaries(
        self, user_id: str | None = None, sort: str | None = None, page_size: int = PAGE_SIZE
    ) -> Iterator[SummaryRow]:
        return self._iterate(SUMMARY, user_id, sort, page_size)

    def count_summaries(self, user_id: str | None = None) -> int:
        return run(self._policy.count(SUMMARY.kind, user_id))

    def delete_summary(
        self, session_id: str, *, user_id: str | None = None, if_version: int | None = None
    ) -> bool:
        return run(self._policy.delete(SUMMARY.kind, session_id, user_id, if_version))

    def delete_summaries(self, session_ids: Iterable[str], *, user_id: str | None = None) -> int:
        return run(self._policy.delete_many(SUMMARY.kind, session_ids, user_id))

    # --- from and to other stores

    def restore_memories(self, memories: Iterable[RowT]) -> list[RowT]:
        """As ``upsert_memories``, for rows with distinct ids that were read from another store: a
        row that is new here also keeps its version, where the backend can."""
        return self._restore(self._shape, memories)

    def restore_summaries(self, summaries: Iterable[SummaryRow]) -> list[SummaryRow]:
        """As ``restore_memories``."""
        return self._restore(SUMMARY, summaries)

    def iter_records(self, kind: Kind, user_id: str | None = None) -> Iterator[Record]:
        """Yield what ``iter_memories`` or ``iter_summaries`` would, oldest first, as records."""
        after: Any = None
        while True:
            records, after = run(self._policy.page(kind, user_id, "asc", PAGE_SIZE, after))
            yield from records
            if after is None:
                return

    def restore_records(self, records: Iterable[Record]) -> list[Record]:
        """As ``restore_memories`` or ``restore_summaries``, for records of one kind."""
        return run(self._policy.restore((Draft(*row[:6]), row.version) for row in records))

    def iter_older_memories(self) -> Iterator[RowT | CorruptMemoryError]:
        """Yield the memories that older software left here and ``upgrade`` would bring up, oldest
        first, without changing anything; one that cannot be read as the error that names it."""
        for page in iterate(self._policy.store.older()):
            for item in page:
                if isinstance(item, Corrupt):
                    yield CorruptMemoryError(item.id, item.reason)
                else:
                    yield self._shape.row(item)

    def facts(self) -> dict[str, str]:
        """Return what the backend tells of itself: its version, the settings that matter."""
        return run(self._policy.store.facts())

    def risks(self, facts: Mapping[str, str]) -> list[str]:
        """Return how acknowledged writes may be lost where these are the facts."""
        return self._policy.store.risks(facts)

    # --- one implementation for both kinds

    def _exists(self, shape: Shape[AnyRow], row: AnyRow) -> bool:
        draft = shape.draft(row)
        return run(self._policy.has(draft.kind, draft.id, draft.user_id))

    def _upsert(self, shape: Shape[AnyRow], row: AnyRow, if_version: int | None) -> AnyRow:
        return shape.row(run(self._policy.put(shape.draft(row), if_version)))

    def _upsert_many(self, shape: Shape[AnyRow], rows: Iterable[AnyRow]) -> list[AnyRow]:
        records = run(self._policy.put_many(map(shape.draft, rows)))
        return [shape.row(record) for record in records]

    def _restore(self, shape: Shape[AnyRow], rows: Iterable[AnyRow]) -> list[AnyRow]:
        # A row that was never stored has no version yet.
        drafts = [(shape.draft(row), getattr(row, "version", None) or 1) for row in rows]
        return [shape.row(record) for record in run(self._policy.restore(drafts))]

    def _read_one(self, shape: Shape[AnyRow], id: Any, user_id: str | None) -> AnyRow | None:
        record = run(self._policy.get(shape.kind, id, user_id))
        return None if record is None else shape.row(record)

    def _read(
        self, shape: Shape[AnyRow], user_id: str | None, limit: int | None, sort: str | None
    ) -> list[AnyRow]:
        return [shape.row(r) for r in run(self._policy.read(shape.kind, user_id, limit, sort))]

    def _iterate(
        self, shape: Shape[AnyRow], user_id: str | None, sort: str | None, page_size: int
    ) -> Iterator[AnyRow]:
        # Checked here and not in the generator, so that a wrong argument raises at the call.
        self._policy.check_pages(user_id, sort, page_size)

        def rows() -> Iterator[AnyRow]:
            after: Any = None
            while True:
                page = self._policy.page(shape.kind, user_id, sort, page_size, after)
                records, after = run(page)
                yield from map(shape.row, records)
                if after is None:
                    return

        return rows()
