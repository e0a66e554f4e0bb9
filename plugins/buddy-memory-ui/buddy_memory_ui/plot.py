"""Memories per day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, timedelta

DAYS = 60
"""At most; the last ones."""


def per_day(times: Iterable[datetime]) -> list[tuple[date, int]]:
    """Return consecutive days, and how many of the times are on each; nothing for no times."""
    counts = Counter(time.date() for time in times)
    if not counts:
        return []
    last = max(counts)
    # A week at the least: one bar alone looks like a fault.
    span = min(max((last - min(counts)).days + 1, 7), DAYS, last.toordinal())
    days = [last - timedelta(days=back) for back in range(span - 1, -1, -1)]
    return [(day, counts[day]) for day in days]
