"""The rows of the v2 contract."""

from buddy.memory.rows import (
    MemoryRow,
    RowLike,
    StoredMemoryRow,
    StoredSummaryRow,
    SummaryLike,
    SummaryRow,
)

__all__ = [
    "MemoryRow",
    "RowLike",
    "StoredMemoryRow",
    "StoredSummaryRow",
    "SummaryLike",
    "SummaryRow",
]
