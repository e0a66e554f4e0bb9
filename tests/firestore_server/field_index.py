"""Sorted indexes of fields, so that a query looks at the documents that it may find and no more."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from typing import Any

from tests.firestore_server.names import FieldPath

_BEYOND = b"\xff"
"""Sorts after every id, as no UTF-8 has this byte."""


class FieldIndex:
    """The documents of one collection that have a field, by its value and then by their ids."""

    def __init__(self, path: FieldPath, documents: Iterable[Any]) -> None:
        self._path = path
        entries = (self._entry(document) for document in documents)
        self.entries = sorted(entry for entry in entries if entry is not None)

    def _entry(self, document: Any) -> tuple[Any, bytes] | None:
        key = None if document is None else document.key(self._path)
        return None if key is None else (key, document.id.encode())

    def change(self, before: Any, after: Any) -> None:
        """Follow a write of one document."""
        old, new = self._entry(before), self._entry(after)
        if old == new:
            return
        if old is not None:
            del self.entries[bisect_left(self.entries, old)]
        if new is not None:
            insort(self.entries, new)

    def first(self, key: Any) -> int:
        """Return where the values from ``key`` on begin."""
        return bisect_left(self.entries, (key, b""))

    def beyond(self, key: Any) -> int:
        """Return where the values above ``key`` begin."""
        return bisect_right(self.entries, (key, _BEYOND))

    def ids(self, low: int, high: int) -> list[str]:
        """Return the ids between two places."""
        return [id.decode() for _, id in self.entries[low:high]]
