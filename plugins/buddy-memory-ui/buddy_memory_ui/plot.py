"""Memories per day, as bars of a drawing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import NamedTuple

WIDTH, HEIGHT = 640, 96
MOST_DAYS = 60


class Bar(NamedTuple):
    """A bar in units of the drawing, and what it says."""

    x: float
    y: float
    width: float
    height: float
    says: str


class Plot(NamedTuple):
    """The bars of consecutive days, the newest at the right; and the first and last day."""

    bars: list[Bar]
    first: date
    last: date


def per_day(times: Iterable[datetime]) -> Plot | None:
    """Return the plot of how many of the times are on each day; None without any.

    Of more than 60 days the last 60 are shown.
    """
    counts = Counter(time.date() for time in times)
    if not counts:
        return None
    last = max(counts)
    # A week at the least: one bar alone looks like a fault.
    span = min(max((last - min(counts)).days + 1, 7), MOST_DAYS, last.toordinal())
    days = [last - timedelta(days=back) for back in range(span - 1, -1, -1)]
    step, most = WIDTH / len(days), max(counts.values())
    bars = []
    for place, day in enumerate(days):
        number = counts[day]
        height = HEIGHT * number / most
        says = f"{day}: {number} {'memory' if number == 1 else 'memories'}"
        bars.append(Bar(place * step, HEIGHT - height, step * 0.8, height, says))
    return Plot(bars, days[0], last)
