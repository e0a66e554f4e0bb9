"""Values: how they sort, what they weigh, and what a document may hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.firestore_server.names import MAX_FIELD_NAME, FieldPath, check_field_name
from tests.firestore_server.protocol import Value, invalid, microseconds

MAX_DOCUMENT = 1024 * 1024
MAX_VALUE = 1024 * 1024 - 89
MAX_DEPTH = 20
MAX_INDEX_ENTRIES = 40_000
MAX_INDEX_BYTES = 8 * 1024 * 1024
MAX_INDEXED_VALUE = 1500

NULL, BOOLEAN, NUMBER, TIMESTAMP, STRING, BYTES, REFERENCE, GEO, ARRAY, MAP = range(10)


def order_key(value: Any) -> tuple[Any, ...]:
    """Return a key that sorts as Firestore sorts values (TYPES: value type ordering)."""
    kind = value.WhichOneof("value_type")
    if kind in (None, "null_value"):
        return (NULL,)
    if kind == "boolean_value":
        return (BOOLEAN, value.boolean_value)
    if kind in ("integer_value", "double_value"):
        number = getattr(value, kind)
        return (NUMBER, 0, 0) if number != number else (NUMBER, 1, number)  # NaN comes first
    if kind == "timestamp_value":
        return (TIMESTAMP, microseconds(value.timestamp_value))
    if kind == "string_value":
        return (STRING, value.string_value.encode())
    if kind == "bytes_value":
        return (BYTES, value.bytes_value)
    if kind == "reference_value":
        return (REFERENCE, tuple(step.encode() for step in value.reference_value.split("/")))
    if kind == "geo_point_value":
        return (GEO, value.geo_point_value.latitude, value.geo_point_value.longitude)
    if kind == "array_value":
        return (ARRAY, tuple(order_key(item) for item in value.array_value.values))
    fields = value.map_value.fields
    return (MAP, tuple((name.encode(), order_key(fields[name])) for name in sorted(fields)))


def find(fields: Mapping[str, Any], path: FieldPath) -> Any:
    """Return the value at a field path, or None."""
    value = None
    for step in path:
        if step not in fields:  # Reading a missing key of a protobuf map would make it.
            return None
        value = fields[step]
        fields = value.map_value.fields
    return value


# --- what a document may hold


def check_fields(fields: Mapping[str, Any], depth: int = 1, above: int = 0) -> None:
    """Refuse odd field names, long field paths, arrays in arrays, and too much depth (LIMITS,
    TYPES). ``above`` is the length of the path so far."""
    for name, value in fields.items():
        check_field_name(name)
        path = above + len(name.encode())
        if path > MAX_FIELD_NAME:
            raise invalid(f"a field path is longer than {MAX_FIELD_NAME} bytes")
        _check_value(value, depth, path + 1, in_array=False)


def _check_value(value: Any, depth: int, path: int, in_array: bool) -> None:
    kind = value.WhichOneof("value_type")
    if kind is None:
        raise invalid("a value has no type")
    if kind in ("array_value", "map_value") and depth > MAX_DEPTH:
        raise invalid(f"a map or array is nested deeper than {MAX_DEPTH} levels")
    if kind == "array_value":
        if in_array:
            raise invalid("Cannot convert an array value in an array value.")
        for item in value.array_value.values:
            _check_value(item, depth + 1, path, in_array=True)
    elif kind == "map_value":
        check_fields(value.map_value.fields, depth + 1, path)
    elif value_size(value) > MAX_VALUE:
        raise invalid(f"a value is longer than {MAX_VALUE} bytes.")


def check_size(path: str, fields: Mapping[str, Any]) -> None:
    """Refuse a document over 1 MiB, or with too much for the indexes (LIMITS, SIZES)."""
    size = document_size(path, fields)
    if size > MAX_DOCUMENT:
        raise invalid(
            f"Document '{path}' cannot be written because its size ({size:,} bytes) exceeds the "
            f"maximum allowed size of {MAX_DOCUMENT:,} bytes."
        )
    count = total = 0
    for entry in index_entries(path, fields):
        count, total = count + 1, total + entry
    if count > MAX_INDEX_ENTRIES or total > MAX_INDEX_BYTES:
        raise invalid(f"too many index entries for entity: {count:,} of {total:,} bytes")


# --- sizes (SIZES)


def string_size(text: str) -> int:
    """Return the UTF-8 bytes plus one."""
    return len(text.encode()) + 1


def name_size(path: str) -> int:
    """Return the size of a document's name."""
    return sum(map(string_size, path.split("/"))) + 16


def document_size(path: str, fields: Mapping[str, Any]) -> int:
    """Return name, fields and 32 bytes."""
    return name_size(path) + _fields_size(fields)


def _fields_size(fields: Mapping[str, Any]) -> int:
    return 32 + sum(string_size(name) + value_size(value) for name, value in fields.items())


def value_size(value: Any) -> int:
    """Return the size of one field's value; a map weighs what a document does."""
    kind = value.WhichOneof("value_type")
    if kind == "string_value":
        return string_size(value.string_value)
    if kind == "array_value":
        return sum(map(value_size, value.array_value.values))
    if kind == "map_value":
        return _fields_size(value.map_value.fields)
    if kind == "bytes_value":
        return len(value.bytes_value)
    if kind == "reference_value":
        return name_size(value.reference_value.partition("/documents/")[2])
    return {"null_value": 1, "boolean_value": 1, "geo_point_value": 16}.get(kind, 8)


# --- automatic single-field indexes (INDEXES)


def index_entries(path: str, fields: Mapping[str, Any]) -> Iterator[int]:
    """Yield the size of each entry in the automatic indexes.

    Ascending and descending for each field that is no map, also below maps, and one
    array-contains entry for each element of an array. An entry holds the document's name, the
    names of the collection and the field, the value (cut at 1,500 bytes), and 32 bytes.
    """
    parent = path.rpartition("/")[0]
    fixed = name_size(path) + string_size(parent) + 32
    yield from _entries(fixed, fields)


def _entries(fixed: int, fields: Mapping[str, Any]) -> Iterator[int]:
    for name, value in fields.items():
        here = fixed + string_size(name)
        kind = value.WhichOneof("value_type")
        if kind == "map_value":
            yield from _entries(here, value.map_value.fields)
            continue
        entry = here + min(value_size(value), MAX_INDEXED_VALUE)
        yield entry
        yield entry
        if kind == "array_value":
            for item in value.array_value.values:
                yield here + min(value_size(item), MAX_INDEXED_VALUE)


def copy_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields whose values may be changed."""
    return {name: _copy(value) for name, value in fields.items()}


def _copy(value: Any) -> Any:
    copied = Value()
    copied.CopyFrom(value)
    return copied
