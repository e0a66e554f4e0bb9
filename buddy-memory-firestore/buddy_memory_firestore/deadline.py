"""Deadlines: how long a call goes on retrying."""

from __future__ import annotations

import time
from random import random

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
"""After a failure: these give a service time to recover."""
_FIRST_JITTER, _LONGEST_JITTER = 0.002, 0.02
"""After a lost race: these only part the rivals, of whom one has got on."""


class Deadline:
    """The end of a call, and how long to wait before each retry."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._pause = _FIRST_PAUSE
        self._jitter = _FIRST_JITTER

    @property
    def left(self) -> float:
        """Seconds for the next attempt, a little more than none."""
        return max(self._end - time.monotonic(), 0.05)

    def jitter(self) -> float | None:
        """Return how many seconds to wait after a lost race, or None when it is too late.

        Who waits ever longer loses to a rival who has just won and goes on at once, so the pauses
        stay short: many attempts, of which one falls between two writes of the rival.
        """
        pause = self._jitter * random()  # noqa: S311 - as below
        self._jitter = min(self._jitter * 2, _LONGEST_JITTER)
        return self._if_in_time(pause)

    def pause(self) -> float | None:
        """Return how many seconds to wait after a failure, or None when it is too late."""
        pause = self._pause * (0.5 + random())  # noqa: S311 - spreads load, keeps no secret
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        return self._if_in_time(pause)

    def _if_in_time(self, pause: float) -> float | None:
        return pause if time.monotonic() + pause < self._end else None
