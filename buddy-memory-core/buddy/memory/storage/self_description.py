"""What databases say of themselves: their settings, and what they lack."""

from __future__ import annotations

from typing import Any

from buddy.memory.errors import UnsupportedError


def describe(db: Any) -> str:
    """Return how a receipt names a database: its settings, without secrets."""
    return " ".join(f"{key}={value}" for key, value in db.to_dict().items() if value)


def no_summaries(db: object) -> UnsupportedError:
    """Return the error of a database that has the eight methods only."""
    return UnsupportedError(
        type(db).__name__,
        "session summaries",
        "Its author can write a Store, or override the *_summary methods.",
    )


def no_expiry(db: object) -> UnsupportedError:
    """Return the error of a database that has the eight methods only."""
    return UnsupportedError(
        type(db).__name__, "rows that end", "Leave ttl out; its author can write a Store."
    )
