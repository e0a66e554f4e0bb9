"""What databases say of themselves: their settings, and what they lack."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NamedTuple

from buddy.memory.errors import UnsupportedError


class Place(NamedTuple):
    """How a receipt names a database: its settings, without secrets, and what versions it runs."""

    store: str
    versions: dict[str, str]


def describe(db: Any) -> Place:
    """Return how a receipt names a database."""
    from importlib.metadata import PackageNotFoundError, version  # As slow as it is rare.

    settings = " ".join(f"{key}={value}" for key, value in db.to_dict().items() if value)
    package = type(db).__module__.partition(".")[0]
    versions = {}
    for distribution in ("buddy-memory-core", package.replace("_", "-")):
        with suppress(PackageNotFoundError):  # A script's own class, or one frozen without it.
            versions[distribution] = version(distribution)
    return Place(settings, versions)


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
