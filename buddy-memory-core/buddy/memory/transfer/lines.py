"""The lines of an export file: JSON Lines in UTF-8, version 1.

The first line says what the file is, the last one how much it holds, each one between is a row::

    {"format":"buddy-memory","version":1,"exported_at":"2026-01-31T12:00:00.000000+00:00"}
    {"kind":"memory","id":"m1","user_id":"ann","payload":{"memory":"Likes tea."},
     "created_at":"…","updated_at":"…","row_version":1}
    {"end":{"memories":1,"summaries":0}}

(A row is one line; it is broken here to fit.) ``kind`` is "memory" or "summary"; a summary's id is
its session's. ``user_id`` may be null. Times are ISO 8601 with six digits of microseconds and an
offset. ``row_version`` counts the writes of the row.

Rows stand in the order of first writing. JSON text in UTF-8 cannot hold lone surrogates: in a line
that has one, or that holds U+001B, these characters stand as U+001B and four hexadecimal digits, as
they do in a database. What a terminal or an editor would act upon (U+007F to U+009F, separators of
lines, changes of direction) is written as a JSON escape.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any

from buddy.memory import payload
from buddy.memory.storage.record import Kind, Record

FORMAT, VERSION = "buddy-memory", 1

_ROW = {"kind", "id", "user_id", "payload", "created_at", "updated_at", "row_version"}
_KINDS = {kind.value: kind for kind in Kind}

_ACTED_UPON = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def header(exported_at: datetime) -> str:
    """Return the first line, without its end."""
    return payload.to_json(
        {"format": FORMAT, "version": VERSION, "exported_at": _time(exported_at)}
    )


def row(record: Record) -> str:
    """Return the line of one row, without its end."""
    text = payload.to_json(
        {
            "kind": record.kind.value,
            "id": record.id,
            "user_id": record.user_id,
            "payload": record.payload,
            "created_at": _time(record.created_at),
            "updated_at": _time(record.updated_at),
            "row_version": record.version,
        }
    )
    # It can only be in a string.
    return _ACTED_UPON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def end(memories: int, summaries: int) -> str:
    """Return the last line, without its end."""
    return payload.to_json({"end": {"memories": memories, "summaries": summaries}})


def check_header(line: bytes) -> None:
    """Raise ValueError unless this is the first line of a file that we can read."""
    try:
        found = payload.from_json(line.removeprefix(b"\xef\xbb\xbf"))
    except ValueError:
        found = {}
    if found.get("format") != FORMAT:
        raise ValueError("this is no export of buddy-memory: its first line says otherwise")
    if found.get("version") != VERSION:
        raise ValueError(
            f"the file has version {found.get('version')!r} of the format and this release reads "
            f"version {VERSION}: use a newer release"
        )


def parse(line: bytes) -> Record | dict[str, Any]:
    """Return the row of a line, or the counts of the last one. Raises ValueError otherwise."""
    try:
        found = payload.from_json(line)
    except ValueError as error:
        raise ValueError(f"the line is torn or is no JSON ({error})") from None
    if found.keys() == {"end"} and isinstance(found["end"], dict):
        return found["end"]
    if found.keys() != _ROW:
        differing = ", ".join(sorted(found.keys() ^ _ROW))
        raise ValueError(f"the line is no row: fields that are missing or unknown: {differing}")
    return _record(found)


def _record(found: dict[str, Any]) -> Record:
    for name, kinds in _TYPES.items():
        if not isinstance(found[name], kinds) or isinstance(found[name], bool):
            raise ValueError(f"{name} has the wrong type")
    if found["kind"] not in _KINDS:
        raise ValueError(f"{found['kind']!r:.40} is no kind of row")
    return Record(
        _KINDS[found["kind"]],
        found["id"],
        found["user_id"],
        found["payload"],
        _load_time(found, "created_at"),
        _load_time(found, "updated_at"),
        found["row_version"],
    )


_TYPES: dict[str, Any] = {
    "kind": str,
    "id": str,
    "user_id": (str, type(None)),
    "payload": dict,
    "created_at": str,
    "updated_at": str,
    "row_version": int,
}


def _time(time: datetime) -> str:
    return time.astimezone(timezone.utc).isoformat(timespec="microseconds")


def _load_time(found: dict[str, Any], name: str) -> datetime:
    try:
        time = datetime.fromisoformat(found[name].replace("Z", "+00:00"))
    except ValueError:
        raise ValueError(f"{name} is no time: {found[name]!r:.40}") from None
    if time.tzinfo is None:
        raise ValueError(f"{name} has no offset: {found[name]!r:.40}")
    return time.astimezone(timezone.utc)
