"""Rows of the API, turned into drafts and back from records; v1's memories are in ``db.stored``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar
from uuid import uuid4

from buddy.memory.errors import InvalidMemoryError
from buddy.memory.rows import StoredMemoryRow, StoredSummaryRow
from buddy.memory.storage.record import Draft, Kind, Record

RowT = TypeVar("RowT")


class RowMapping(Generic[RowT]):
    """One kind of row: taken by its attributes, whatever its class, and returned as ``RowT``.

    ``make_id`` returns the id of a row that has none, from its payload and its user.
    """

    def __init__(
        self, kind: Kind, make_id: Callable[[Any, Any], str], row: Callable[[Record], RowT]
    ) -> None:
        self.kind, self.row = kind, row
        self._payload, self._make_id = kind.value, make_id

    def draft(self, row: Any) -> Draft:
        """Return what a caller handed in. Raises InvalidMemoryError where that is no row."""
        try:
            id, user_id, payload = row.id, row.user_id, getattr(row, self._payload)
        except AttributeError:
            raise not_a_row(row, self.kind) from None
        if id is None:
            id = self._make_id(payload, user_id)
            with suppress(AttributeError, TypeError, ValueError):  # A frozen row stays as it is.
                row.id = id
        updated = getattr(row, "updated_at", None) or getattr(row, "last_updated", None)
        created, ends = getattr(row, "created_at", None), getattr(row, "expires_at", None)
        return Draft(self.kind, user_id, id, payload, created, updated, ends)


def not_a_row(given: Any, kind: Kind) -> InvalidMemoryError:
    """Return the error of what has not the attributes of a row."""
    return InvalidMemoryError(
        f"a row has the attributes id, user_id and {kind.value}; {type(given).__name__} has not"
    )


def fresh_id(payload: Any, user_id: Any) -> str:
    """Return an id that no row has."""
    return str(uuid4())


def _memory_v2(record: Record) -> StoredMemoryRow:
    return StoredMemoryRow(
        record.payload,
        record.id,
        record.user_id,
        record.updated_at,
        record.created_at,
        record.version,
        record.expires_at,
    )


def _summary(record: Record) -> StoredSummaryRow:
    return StoredSummaryRow(
        record.payload,
        record.id,
        record.user_id,
        record.updated_at,
        record.created_at,
        record.version,
        record.expires_at,
    )


V2_MEMORY = RowMapping(Kind.MEMORY, fresh_id, _memory_v2)
SUMMARY = RowMapping(Kind.SUMMARY, fresh_id, _summary)
