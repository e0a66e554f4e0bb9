"""Deadlines: how long a call goes on retrying."""

from __future__ import annotations

import time
from random import random

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0


class Deadline:
    """The end of a call, and how long to wait before each retry."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._pause = _FIRST_PAUSE

    @property
    def left(self) -> float:
        """Seconds for the next attempt, a little more than none."""
        return max(self._end - time.monotonic(), 0.05)

    def pause(self) -> float | None:
        """Return how many seconds to wait now, or None when there is no time left for it."""
        pause = self._pause * (0.5 + random())  # noqa: S311 - spreads load, keeps no secret
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        return pause if time.monotonic() + pause < self._end else None
