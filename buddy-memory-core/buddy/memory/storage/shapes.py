"""How the rows of the API turn into drafts and back from records; v1's are in ``db.stored``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from buddy.memory.errors import InvalidMemoryError
from buddy.memory.storage.record import Draft, Kind, Record
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow

RowT = TypeVar("RowT")


class Shape(Generic[RowT]):
    """One row class, with its translation in both directions."""

    def __init__(
        self, kind: Kind, draft: Callable[[RowT], Draft], row: Callable[[Record], RowT]
    ) -> None:
        self.kind, self.draft, self.row = kind, draft, row


def check_row(row: Any, wanted: type) -> None:
    """Raise InvalidMemoryError when this is not a row of the class ``wanted``."""
    if not isinstance(row, wanted):
        given = f"{type(row).__module__}.{type(row).__qualname__}"
        raise InvalidMemoryError(
            f"a row of this database is a {wanted.__module__}.{wanted.__qualname__}, not {given}"
        )


def _draft_v2(row: MemoryRow) -> Draft:
    check_row(row, MemoryRow)
    return Draft(Kind.MEMORY, row.id, row.user_id, row.memory, row.created_at, row.last_updated)


def _row_v2(record: Record) -> MemoryRow:
    return MemoryRow(
        record.payload,
        record.id,
        record.user_id,
        record.updated_at,
        record.created_at,
        record.version,
    )


def _draft_summary(row: SummaryRow) -> Draft:
    check_row(row, SummaryRow)
    return Draft(Kind.SUMMARY, row.id, row.user_id, row.summary, row.created_at, row.last_updated)


def _row_summary(record: Record) -> SummaryRow:
    return SummaryRow(
        record.payload,
        record.id,
        record.user_id,
        record.updated_at,
        record.created_at,
        record.version,
    )


V2_MEMORY = Shape(Kind.MEMORY, _draft_v2, _row_v2)
SUMMARY = Shape(Kind.SUMMARY, _draft_summary, _row_summary)
