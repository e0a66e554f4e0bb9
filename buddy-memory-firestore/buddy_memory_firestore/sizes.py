"""Sizes of documents by the published formulas: too large ones are refused before they are sent.

https://cloud.google.com/firestore/docs/storage-size and https://cloud.google.com/firestore/quotas
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

MAX_DOCUMENT = 1024 * 1024
MAX_INDEX_ENTRIES = 40_000
MAX_INDEX_BYTES = 8 * 1024 * 1024

_MAX_INDEXED_VALUE = 1500
_FIXED = {"null_value": 1, "boolean_value": 1, "geo_point_value": 16}


class Weight(NamedTuple):
    """Bytes of the document; entries in the automatic indexes, and the bytes of these."""

    size: int
    entries: int
    entry_bytes: int

    @property
    def fits_indexes(self) -> bool:
        """Tell whether the automatic indexes take the document."""
        return self.entries <= MAX_INDEX_ENTRIES and self.entry_bytes <= MAX_INDEX_BYTES


def weigh(path: str, fields: Mapping[str, Any]) -> Weight:
    """Return the weight of a document at a path below ``documents``."""
    name = sum(_text(step) for step in path.split("/")) + 16
    collection = _text(path.rpartition("/")[0])
    scale = _Scale()
    size = name + scale.fields(fields, name + collection + 32)
    return Weight(size, scale.entries, scale.entry_bytes)


def _text(text: str) -> int:
    return len(text.encode()) + 1


class _Scale:
    """Weighs fields, and counts the index entries on the way."""

    def __init__(self) -> None:
        self.entries = self.entry_bytes = 0

    def fields(self, fields: Mapping[str, Any], overhead: int) -> int:
        """Return the bytes of a map or document; ``overhead`` is that of an entry above it."""
        size = 32
        for name, value in fields.items():
            named = _text(name)
            size += named + self._value(value, overhead + named)
        return size

    def _value(self, value: Any, overhead: int) -> int:
        kind = value.WhichOneof("value_type")
        if kind == "map_value":
            return self.fields(value.map_value.fields, overhead)
        size = 0
        if kind == "array_value":
            for item in value.array_value.values:
                part = _size(item)
                size += part
                self._index(overhead, part, 1)
        else:
            size = _size(value)
        self._index(overhead, size, 2)  # Ascending and descending.
        return size

    def _index(self, overhead: int, size: int, entries: int) -> None:
        self.entries += entries
        self.entry_bytes += entries * (overhead + min(size, _MAX_INDEXED_VALUE))


def _size(value: Any) -> int:
    """Return the bytes of a value whose parts have no index entries of their own."""
    kind = value.WhichOneof("value_type")
    if kind == "string_value":
        return _text(value.string_value)
    if kind == "bytes_value":
        return len(value.bytes_value)
    if kind == "array_value":
        return sum(map(_size, value.array_value.values))
    if kind == "map_value":
        fields = value.map_value.fields
        return 32 + sum(_text(name) + _size(item) for name, item in fields.items())
    return _FIXED.get(kind, 8)
