"""When rows end (rule R14): what callers ask for, and what it means for a write."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum
from math import isfinite
from typing import Any, Final, NamedTuple, TypeAlias

from buddy.memory.errors import ConfigError

LAST_END = datetime.max - timedelta(days=2)
"""The latest end of a row, in UTC: every backend can hold it, and every time zone can show it."""


class Ending(Enum):
    """What ``ttl`` may be besides a duration: ``KEEP`` and ``NEVER``."""

    KEEP = "KEEP"
    NEVER = "NEVER"

    def __repr__(self) -> str:
        return self.value


KEEP: Final = Ending.KEEP
"""As ``ttl``: the row keeps the end that it has; a new row gets the store's default."""

NEVER: Final = Ending.NEVER
"""As ``ttl``: the row has no end, whatever the store's default is."""

Ttl: TypeAlias = "float | timedelta | Ending | None"
"""How long a row lives from the write on: seconds, a timedelta, ``KEEP``, ``NEVER``, or None for
the store's default, else the row's own ``expires_at``, else no end."""


class End(NamedTuple):
    """What decides the end of the rows of one call.

    ``ttl`` counts from the moment of the write by the server's clock; None: no end. With ``keep``
    that is so for new rows only, and with ``own`` a row's own ``expires_at`` is taken instead.
    """

    ttl: timedelta | None = None
    keep: bool = False
    own: bool = False


OWN = End(own=True)
"""The end of rows where neither the call nor the store says anything."""


SWEEP_SECONDS = 0.035
"""How long one step of a sweep is to take: a lock may be held for so long."""

_LEAST_STEP = 100


def next_step(step: int, seconds: float, most: int) -> int:
    """Return how many rows the next step of a sweep removes, after one of ``step`` took so long."""
    fitting = step * min(2.0, SWEEP_SECONDS / max(seconds, 1e-6))
    return max(_LEAST_STEP, min(most, int(max(fitting, step / 2))))


def parse_ttl(ttl: Any, default: timedelta | None, now: datetime) -> End:
    """Return the end that ``ttl`` asks for in a store with this default. Raises ConfigError."""
    if ttl is None:
        return OWN if default is None else End(default)
    if ttl is NEVER:
        return End()
    if ttl is KEEP:
        return End(default, keep=True)
    return End(check_duration(ttl, "ttl", now))


def check_duration(ttl: Any, name: str, now: datetime) -> timedelta:
    """Return a positive duration that does not lead beyond the calendar. Raises ConfigError."""
    if isinstance(ttl, timedelta):
        duration = ttl
    elif isinstance(ttl, (int, float)) and not isinstance(ttl, bool) and isfinite(ttl):
        try:
            duration = timedelta(seconds=ttl)
        except OverflowError:
            raise _beyond(name) from None
    else:
        raise ConfigError(
            f"{name} must be a number of seconds, a timedelta, KEEP or NEVER, not {ttl!r:.80}"
        )
    if duration <= timedelta(0):
        raise ConfigError(f"{name} must be more than 0, not {ttl!r:.80}")
    if duration > LAST_END - now.replace(tzinfo=None):
        raise _beyond(name)
    return duration


def _beyond(name: str) -> ConfigError:
    return ConfigError(f"{name} leads beyond the year 9999; leave it out, or pass NEVER")
