"""Places in a listing whose rows have no positions: found again by the rows around them."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from buddy.memory.errors import ConfigError

_NEIGHBOURS = 16
"""Rows before and behind a place that it is known by; all but one of them may be deleted."""


def encode(rows: Sequence[Any], end: int) -> str:
    """Return a text that finds the place before ``rows[end]`` again, also when rows near it are
    deleted. It names no user and no id."""
    before, behind = rows[max(end - _NEIGHBOURS, 0) : end], rows[end : end + _NEIGHBOURS]
    return ":".join(",".join(map(_digest, part)) for part in (before[::-1], behind))


def find(rows: Sequence[Any], place: str) -> int:
    """Return the index of a place; ConfigError when no row near it is left."""
    found = {_digest(row): index for index, row in enumerate(rows)}
    before, _, behind = place.partition(":")
    for digest in before.split(","):
        if digest in found:
            return found[digest] + 1
    for digest in behind.split(","):
        if digest in found:
            return found[digest]
    if not rows:
        return 0
    raise ConfigError("the rows around this cursor were deleted meanwhile; start again without it")


def _digest(row: Any) -> str:
    """Return a text that stands for a row until it is deleted, and does not tell its names."""
    facts = repr((row.user_id, row.id, getattr(row, "created_at", None)))
    return sha256(facts.encode("utf-8", "surrogatepass")).hexdigest()[:10]
