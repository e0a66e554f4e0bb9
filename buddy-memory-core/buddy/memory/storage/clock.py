"""The one place that asks what time it is."""

from __future__ import annotations

from datetime import datetime, timezone

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def utc_now() -> datetime:
    """Return the current time, aware, in UTC, to the microsecond."""
    return datetime.now(timezone.utc)
