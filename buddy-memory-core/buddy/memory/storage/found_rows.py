"""What a store found: rows that cannot be decoded, and ids that several users have."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

from buddy.memory.errors import AmbiguousIdError, CorruptMemoryError
from buddy.memory.storage.record import Corrupt, Record

logger = logging.getLogger("buddy.memory")


def readable_rows(page: Sequence[Record | Corrupt]) -> list[Record]:
    """Return the records of a page, with one warning for each row that cannot be decoded (R16), or
    for each user of whom none can."""
    records = []
    forgotten: Counter[tuple[str | None, str]] = Counter()
    for item in page:
        if not isinstance(item, Corrupt):
            records.append(item)
        elif item.of_forgotten:
            forgotten[item.user_id, item.reason] += 1
        else:
            logger.warning("skipped the unreadable row %r: %s", item.id, item.reason)
    for (user, reason), number in forgotten.items():
        logger.warning("skipped %d unreadable rows of the user %r: %s", number, user, reason)
    return records


def readable_row(found: Record | Corrupt | None) -> Record | None:
    """Return the record that was asked for by id. Raises CorruptMemoryError (R16)."""
    if isinstance(found, Corrupt):
        raise CorruptMemoryError(found.id, found.reason)
    return found


def only_one(id: str, found: Sequence[Record | Corrupt]) -> Record | Corrupt | None:
    """Return the one row that has the id, None without one. Raises AmbiguousIdError (R1)."""
    if len(found) > 1:
        raise AmbiguousIdError(id)
    return found[0] if found else None


def one_of_each(
    ids: Sequence[str], found: Sequence[Record | Corrupt]
) -> dict[str, Record | Corrupt]:
    """Return rows that were found by ids alone, by their id. Raises AmbiguousIdError for the first
    id that has several (R1)."""
    rows = {item.id: item for item in found}
    if len(rows) < len(found):
        counts = Counter(item.id for item in found)
        raise AmbiguousIdError(next(id for id in ids if counts[id] > 1))
    return rows
