"""Who owned an id when it was last seen: saves a round trip while that is still so."""

from __future__ import annotations

from buddy.memory.storage.record import Kind

REMEMBERED = 10_000
"""Ids whose owners are kept at hand."""


class Owners:
    """What one object saw of the directory. Whoever relies on it looks whether it still holds."""

    def __init__(self) -> None:
        self._seen: dict[tuple[Kind, str], tuple[str | None]] = {}

    def get(self, kind: Kind, id: str) -> tuple[str | None] | None:
        """Return the owner, or None when nothing is known of the id."""
        return self._seen.get((kind, id))

    def keep(self, kind: Kind, id: str, user_id: str | None) -> None:
        """Note who owns an id."""
        if len(self._seen) >= REMEMBERED:
            self._seen.clear()
        self._seen[kind, id] = (user_id,)

    def forget(self, kind: Kind, id: str) -> None:
        """Note that an id is free."""
        self._seen.pop((kind, id), None)
