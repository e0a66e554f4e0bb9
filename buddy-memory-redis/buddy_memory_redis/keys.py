"""The names of our keys.

No key holds a colon, so none is in ``<prefix>:*``, where older software looks for its memories.
What stands between braces decides the hash slot in a cluster: everything of one user is in one
slot, and the directory of the store in another. Names are percent-encoded, so that no prefix and no
user id can end the braces or be taken for another.
"""

from __future__ import annotations

from urllib.parse import quote

from buddy.memory.storage.record import Kind

REMEMBERED = 1000
"""Shelves whose keys are kept at hand."""


def _encoded(name: str) -> str:
    return quote(name, safe="")


def user_part(user_id: str | None) -> str:
    """Return how a user is written in the directory: None is ``-``, anything else ``=…``."""
    return "-" if user_id is None else f"={user_id}"


def user_of(part: str) -> str | None:
    """Undo ``user_part``."""
    return part[1:] if part.startswith("=") else None


class Keys:
    """The keys of the store called ``prefix``."""

    def __init__(self, prefix: str) -> None:
        self._shelves: dict[tuple[Kind, str | None], tuple[bytes, ...]] = {}
        self._root = f"buddy-memory/{{{_encoded(prefix)}"
        self.meta = f"{self._root}}}/meta".encode()
        self._directories = {
            kind: (self.meta, *self._named("", kind, "owners", "index", "deadlines", "pending"))
            for kind in Kind
        }

    def _named(self, user: str, kind: Kind, *names: str) -> tuple[bytes, ...]:
        start = f"{self._root}{user}}}/{kind.value}/"
        return tuple(f"{start}{name}".encode() for name in names)

    def directory(self, kind: Kind) -> tuple[bytes, ...]:
        """Return meta, owners, index, deadlines and pending: one slot for the whole store."""
        return self._directories[kind]

    def shelf(self, kind: Kind, user_id: str | None) -> tuple[bytes, ...]:
        """Return rows, index, deadlines and fence of one user: one slot for each user."""
        keys = self._shelves.get((kind, user_id))
        if keys is None:
            if len(self._shelves) >= REMEMBERED:
                self._shelves.clear()
            user = "/-" if user_id is None else f"/={_encoded(user_id)}"
            keys = self._named(user, kind, "rows", "index", "deadlines", "fence")
            self._shelves[kind, user_id] = keys
        return keys
