"""What became of the rows of a source."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SHOWN = 20
"""How many ids and users a result names; all of them are counted."""


@dataclass
class Loaded:
    """What became of the rows. Counts are of rows; lists name the first ``SHOWN``."""

    memories: int = 0
    """Memories of the source that were looked at."""
    summaries: int = 0
    """The same, of session summaries."""
    new: int = 0
    """Written, because the destination had no such row (with dry_run: would be written)."""
    same: int = 0
    """Skipped: the destination has the row with the same content."""
    retimed: int = 0
    """How many of these have other times or another end in the destination, which stay there."""
    overwritten: int = 0
    """Replaced, because ``overwrite`` was asked for (with dry_run: would be replaced)."""
    differing: int = 0
    """Left alone: the destination has the user's row with other content."""
    differing_rows: list[dict[str, str | None]] = field(default_factory=list[dict[str, str | None]])
    """The first of these, each with ``user_id`` and ``id``."""
    refused: int = 0
    """Left out: the destination cannot store the row."""
    refused_rows: list[dict[str, str | None]] = field(default_factory=list[dict[str, str | None]])
    """The first of these, each with ``user_id``, ``id`` and ``reason``."""
    unreadable: int = 0
    """Left out: the source has the row, and it cannot be decoded."""
    unreadable_rows: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    """Some of these, of older software; those of a current store were logged."""
    ended: int = 0
    """Not there any more when the destination was read back, because their end came meanwhile."""
    without_end: int = 0
    """Have an end that the destination cannot keep; only with ``drop_expiry``."""
    restarted_versions: int = 0
    """Written with version 1, because the destination cannot take versions over."""
    phase: str = "writing"
    """What is being done: "comparing" with what is there, "writing", "verifying"; then "done"."""
    passed: int = 0
    """Rows that this has passed so far."""
    total: int | None = None
    """How many rows this will pass, where that is known; None for a source that is not counted."""
    users: int = 0
    """Users who have rows in the destination now."""
    verified: bool = False
    """Whether the destination was read back; not so after a dry run."""
    mismatches: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """Users whose rows in the destination are not what was written."""

    @property
    def rows(self) -> int:
        """Rows of the source that were looked at."""
        return self.memories + self.summaries

    @property
    def complete(self) -> bool:
        """Whether every row of the source is in the destination now, and was found there."""
        missing = self.differing or self.refused or self.unreadable
        return self.verified and not (self.mismatches or missing)
