"""One Write applied to one document: precondition, mask, transforms, limits (RPC: Write)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.firestore_server.documents import Stored
from tests.firestore_server.names import FieldPath, check_document, split, written_path
from tests.firestore_server.protocol import Refusal, Value, invalid, microseconds, timestamp
from tests.firestore_server.values import (
    check_fields,
    check_size,
    copy_fields,
    find,
    order_key,
)

MAX_TRANSFORMS = 500
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1


def target(write: Any) -> str:
    """Return the full name of the document that a write is about."""
    operation = write.WhichOneof("operation")
    if operation == "update":
        return str(write.update.name)
    if operation == "delete":
        return str(write.delete)
    if operation == "transform":
        return str(write.transform.document)
    raise invalid("a write has no operation")


def apply(
    write: Any, path: str, stored: Stored | None, now: int
) -> tuple[Stored | None, list[Any]]:
    """Return the document after the write (None: deleted) and the results of its transforms."""
    check_document(path)
    check_precondition(write, path, stored)
    if write.WhichOneof("operation") == "delete":
        return None, []
    fields = _merge(write, stored) if write.HasField("update") else _copy_of(stored)
    transforms = list(write.update_transforms) or list(write.transform.field_transforms)
    if len(transforms) > MAX_TRANSFORMS:  # LIMITS: per document and commit
        raise invalid(f"more than {MAX_TRANSFORMS} transforms of one document")
    results = [_transform(fields, transform, now) for transform in transforms]
    check_fields(fields)
    check_size(path, fields)
    if stored is not None and stored.fields == fields:
        return stored, results  # RPC, WriteResult: an unchanged document keeps its update time.
    return Stored(path, fields, stored.created if stored else now, now), results


def check_precondition(write: Any, path: str, stored: Stored | None) -> None:
    """Refuse the write when its precondition does not hold (RPC: Precondition)."""
    condition = write.current_document
    wanted = condition.WhichOneof("condition_type")
    if wanted == "exists" and condition.exists and stored is None:
        raise Refusal("NOT_FOUND", f"No document to update: {target(write)}")
    if wanted == "exists" and not condition.exists and stored is not None:
        raise Refusal("ALREADY_EXISTS", f"Document already exists: {target(write)}")
    if wanted == "update_time":
        base = microseconds(condition.update_time)
        version = 0 if stored is None else stored.updated
        if base != version:
            raise Refusal(
                "FAILED_PRECONDITION",
                f"the stored version ({version}) does not match the required base version ({base})",
            )


def _copy_of(stored: Stored | None) -> dict[str, Any]:
    return {} if stored is None else copy_fields(stored.fields)


def _merge(write: Any, stored: Stored | None) -> dict[str, Any]:
    """Without a mask the document is replaced; with one, only the masked fields change."""
    new = write.update.fields
    if not write.HasField("update_mask"):
        return copy_fields(new)
    fields = _copy_of(stored)
    for text in write.update_mask.field_paths:
        path = written_path(text)
        _set(fields, path, find(new, path))
    return fields


def _set(fields: Any, path: FieldPath, value: Any) -> None:
    """Set or (None) remove the value at ``path``; what is no map on the way becomes one."""
    for step in path[:-1]:
        if step not in fields:
            if value is None:
                return
            _put(fields, step, Value(map_value={}))
        elif fields[step].WhichOneof("value_type") != "map_value":
            if value is None:
                return
            fields[step].CopyFrom(Value(map_value={}))
        fields = fields[step].map_value.fields
    if value is None:
        if path[-1] in fields:
            del fields[path[-1]]
    else:
        _put(fields, path[-1], value)


def _put(fields: Any, name: str, value: Any) -> None:
    if isinstance(fields, dict):
        fields[name] = Value()
    fields[name].CopyFrom(value)


# --- field transforms (RPC: DocumentTransform.FieldTransform)


def _transform(fields: Any, transform: Any, now: int) -> Any:
    """Apply one transform; return the value to report."""
    path = written_path(transform.field_path)
    kind = transform.WhichOneof("transform_type")
    if kind == "set_to_server_value":
        if transform.set_to_server_value != 1:
            raise invalid("an unknown server value")
        # "with millisecond precision"
        result = Value(timestamp_value=timestamp(now // 1000 * 1000))
        _set(fields, path, result)
        return result
    if kind not in _TRANSFORMS:
        raise invalid(f"an unknown transform of {transform.field_path}")
    current = find(fields, path)
    changed = _TRANSFORMS[kind](current, getattr(transform, kind))
    _set(fields, path, changed)
    is_array = kind in ("append_missing_elements", "remove_all_from_array")
    return Value(null_value=0) if is_array else changed


def _number(value: Any) -> int | float | None:
    kind = None if value is None else value.WhichOneof("value_type")
    return getattr(value, kind) if kind in ("integer_value", "double_value") else None


def _operand(value: Any) -> int | float:
    number = _number(value)
    if number is None:
        raise invalid("a numeric transform needs an integer or a double")
    return number


def _as_value(number: int | float) -> Any:
    if isinstance(number, float):
        return Value(double_value=number)
    return Value(integer_value=max(_INT_MIN, min(_INT_MAX, number)))  # clamped, not wrapped


def _increment(current: Any, operand: Any) -> Any:
    stored, by = _number(current), _operand(operand)
    return operand if stored is None else _as_value(stored + by)


def _extreme(current: Any, operand: Any, wins: Callable[[Any, Any], bool]) -> Any:
    stored, given = _number(current), _operand(operand)
    if stored is None or (given != given and stored == stored):
        return operand
    return operand if wins(given, stored) else current


def _maximum(current: Any, operand: Any) -> Any:
    return _extreme(current, operand, lambda given, stored: given > stored)


def _minimum(current: Any, operand: Any) -> Any:
    return _extreme(current, operand, lambda given, stored: given < stored)


def _elements(current: Any) -> list[Any]:
    is_array = current is not None and current.WhichOneof("value_type") == "array_value"
    return list(current.array_value.values) if is_array else []


def _append(current: Any, operand: Any) -> Any:
    values = _elements(current)
    seen = {order_key(value) for value in values}
    for value in operand.values:
        if order_key(value) not in seen:
            seen.add(order_key(value))
            values.append(value)
    return Value(array_value={"values": values})


def _remove(current: Any, operand: Any) -> Any:
    unwanted = {order_key(value) for value in operand.values}
    kept = [value for value in _elements(current) if order_key(value) not in unwanted]
    return Value(array_value={"values": kept})


_TRANSFORMS: dict[str, Callable[[Any, Any], Any]] = {
    "increment": _increment,
    "maximum": _maximum,
    "minimum": _minimum,
    "append_missing_elements": _append,
    "remove_all_from_array": _remove,
}


def path_in(database: str, write: Any) -> str:
    """Return the path of the written document; refuse one of another database."""
    owner, path = split(target(write))
    if owner != database:
        raise invalid(f"{target(write)} is not in {database}")
    return path
