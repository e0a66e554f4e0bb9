"""What is refused before a model is asked and anything is read or written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from langgraph.store.base import (
    GetOp,
    ListNamespacesOp,
    Op,
    PutOp,
    SearchOp,
    validate_op_namespace,
)

from buddy.memory import payload
from buddy.memory.errors import ConfigError, InvalidMemoryError
from buddy.memory.storage.expiry import LAST_END
from buddy.memory.storage.validation import check_id
from buddy_memory_langgraph.matching import parse_filter

_KEYS = {
    "index": ("dims", "embed", "fields"),
    "ttl": ("default_ttl", "refresh_on_read", "sweep_interval_minutes", "omit_expired"),
}


def checked(ops: Iterable[Op]) -> list[Op]:
    """Return the operations, with values and filters as a database holds them.

    Raises InvalidNamespaceError, InvalidMemoryError or another ValueError for one that cannot be
    done.
    """
    return [_checked(op) for op in ops]


def _checked(op: Op) -> Op:
    if not isinstance(op, (GetOp, SearchOp, ListNamespacesOp, PutOp)):
        raise ValueError(f"Unknown operation type: {type(op)}")
    validate_op_namespace(op)
    if isinstance(op, (GetOp, PutOp)):
        _check_names(op.namespace)
        check_id(op.key, "key")
        return _put(op) if isinstance(op, PutOp) else op
    for name in ("limit", "offset"):
        _check_count(getattr(op, name), name)
    if isinstance(op, SearchOp):
        _check_names(op.namespace_prefix)
        return op if op.filter is None else op._replace(filter=parse_filter(op.filter))
    if op.max_depth is not None:
        _check_count(op.max_depth, "max_depth")
    return op


def _check_names(namespace: Iterable[str]) -> None:
    for label in namespace:
        check_id(label, "namespace")


def _check_count(number: Any, name: str) -> None:
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise ConfigError(f"{name} must be an int >= 0, not {number!r:.80}")


def _put(op: PutOp) -> PutOp:
    if op.ttl is not None:
        check_minutes(op.ttl, "ttl")
    if op.index is not None and op.index is not False:
        check_paths(op.index, "index")
    if op.value is None:
        return op
    # At its depth in the row: what passes here is refused nowhere else.
    value = payload.encode({"value": op.value}, "item")["value"]
    if not isinstance(value, dict):
        raise InvalidMemoryError(f"must be a dict, not {type(op.value).__name__}", "item.value")
    return op._replace(value=value)


def check_minutes(minutes: Any, name: str) -> None:
    """Raise ConfigError for what is no time from now on that a row could live."""
    most = LAST_END - datetime.now(timezone.utc).replace(tzinfo=None)
    try:
        if not isinstance(minutes, bool) and timedelta(0) < timedelta(minutes=minutes) <= most:
            return
    except (TypeError, ValueError, OverflowError):  # no number, NaN, infinity
        pass
    raise ConfigError(
        f"{name} must be a number of minutes, more than 0 and ending before the year 9999, "
        f"not {minutes!r:.80}"
    )


def check_paths(paths: Any, name: str) -> None:
    """Raise ConfigError for anything but a list of texts; one text would be taken for its
    letters."""
    if isinstance(paths, str) or not isinstance(paths, Sequence):
        raise ConfigError(f"{name} must be a list of paths, not {paths!r:.80}")
    for path in paths:
        if not isinstance(path, str):
            raise ConfigError(f"{name} must be a list of paths, with no {path!r:.80} in it")


def check_configs(index: Any, ttl: Any) -> None:
    """Raise ConfigError for an ``index`` or a ``ttl`` of which something would be ignored."""
    for name, config in (("index", index), ("ttl", ttl)):
        if config is None:
            continue
        if not isinstance(config, Mapping):
            raise ConfigError(f"{name} must be a mapping, not {config!r:.80}")
        unknown = ", ".join(repr(key) for key in config if key not in _KEYS[name])
        if unknown:
            raise ConfigError(f"{name} has no {unknown:.80}; there are {', '.join(_KEYS[name])}")
    index, ttl = index or {}, ttl or {}
    if index.get("dims") is not None:
        _check_count(index["dims"], "index['dims']")
    if index.get("fields") is not None:
        check_paths(index["fields"], "index['fields']")
    for key in ("default_ttl", "sweep_interval_minutes"):
        if ttl.get(key) is not None:
            check_minutes(ttl[key], f"ttl[{key!r}]")
    if not isinstance(ttl.get("refresh_on_read", False), bool):
        raise ConfigError(f"ttl['refresh_on_read'] must be a bool, not {ttl['refresh_on_read']!r}")
