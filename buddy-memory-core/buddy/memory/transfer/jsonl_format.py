"""The lines of an export file: JSON Lines in UTF-8, version 2.

The first line says what the file is, the last one how much it holds, each one between is a row::

    {"format":"buddy-memory","version":2,"exported_at":"2026-01-31T12:00:00.000000+00:00"}
    {"kind":"memory","user_id":"ann","id":"m1","payload":{"memory":"Likes tea."},
     "created_at":"…","updated_at":"…","row_version":1,"expires_at":"…","vector":"…"}
    {"end":{"memories":1,"summaries":0}}

(A row is one line; it is broken here to fit.) ``kind`` is "memory" or "summary"; a summary's id is
its session's. ``user_id`` may be null. Kind, user and id name a row: a file holds it once. Times
are ISO 8601 with six digits of microseconds and an offset. ``row_version`` counts the writes of the
row. ``expires_at`` and ``vector`` (Base64) stand only in rows that have them.

Version 1, which is read as well, has neither of the two.

Rows stand in the order of first writing. JSON text in UTF-8 cannot hold lone surrogates: in a line
that has one, or that holds U+001B, these characters stand as U+001B and four hexadecimal digits, as
they do in a database. What a terminal or an editor would act upon (U+007F to U+009F, separators of
lines, changes of direction) is written as a JSON escape.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from datetime import datetime, timezone
from typing import Any

from buddy.memory import payload
from buddy.memory.storage.record import MAX_VERSION, Kind, Record

FORMAT, VERSION = "buddy-memory", 2

_FIELDS: dict[str, Any] = {
    "kind": str,
    "user_id": (str, type(None)),
    "id": str,
    "payload": dict,
    "created_at": str,
    "updated_at": str,
    "row_version": int,
}
"""The fields of every row, and their types."""
_OPTIONAL: dict[int, dict[str, Any]] = {1: {}, 2: {"expires_at": str, "vector": str}}
"""Further fields that a row may have, by version of the format."""

_KINDS = {kind.value: kind for kind in Kind}

_ACTED_UPON = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def header(exported_at: datetime) -> str:
    """Return the first line, without its end."""
    return payload.to_json(
        {"format": FORMAT, "version": VERSION, "exported_at": _time(exported_at)}
    )


def row(record: Record) -> str:
    """Return the line of one row, without its end."""
    fields: dict[str, Any] = {
        "kind": record.kind.value,
        "user_id": record.user_id,
        "id": record.id,
        "payload": record.payload,
        "created_at": _time(record.created_at),
        "updated_at": _time(record.updated_at),
        "row_version": record.version,
    }
    if record.expires_at is not None:
        fields["expires_at"] = _time(record.expires_at)
    if record.vector is not None:
        fields["vector"] = b64encode(record.vector).decode()
    # It can only be in a string.
    return _ACTED_UPON.sub(lambda found: f"\\u{ord(found[0]):04x}", payload.to_json(fields))


def end(memories: int, summaries: int) -> str:
    """Return the last line, without its end."""
    return payload.to_json({"end": {"memories": memories, "summaries": summaries}})


def read_header(line: bytes) -> int:
    """Return the version of the format of a file that begins with this line.

    Raises ValueError unless it is one that we can read.
    """
    try:
        found = payload.from_json(line.removeprefix(b"\xef\xbb\xbf"))
    except ValueError:
        found = {}
    if found.get("format") != FORMAT:
        raise ValueError("this is no export of buddy-memory: its first line says otherwise")
    version = found.get("version")
    if type(version) is not int or version not in _OPTIONAL:
        raise ValueError(
            f"the file has version {version!r:.40} of the format and this release reads versions "
            f"1 to {VERSION}: use a newer release"
        )
    return version


def parse(line: bytes, version: int) -> Record | dict[str, Any]:
    """Return the row of a line, or the counts of the last one. Raises ValueError otherwise."""
    try:
        found = payload.from_json(line, around=1)
    except ValueError as error:
        raise ValueError(f"the line is torn or is no JSON ({error})") from None
    if found.keys() == {"end"} and isinstance(found["end"], dict):
        return found["end"]
    optional = _OPTIONAL[version]
    if differing := _FIELDS.keys() ^ (found.keys() - optional.keys()):
        names = ", ".join(sorted(differing))
        raise ValueError(f"the line is no row: fields that are missing or unknown: {names}")
    for name, kinds in (_FIELDS | optional).items():
        if name in found and (not isinstance(found[name], kinds) or isinstance(found[name], bool)):
            raise ValueError(f"{name} has the wrong type")
    return _record(found)


def _record(found: dict[str, Any]) -> Record:
    if found["kind"] not in _KINDS:
        raise ValueError(f"{found['kind']!r:.40} is no kind of row")
    if not 1 <= found["row_version"] <= MAX_VERSION:
        raise ValueError(f"row_version is from 1 to {MAX_VERSION}, not {found['row_version']}")
    return Record(
        _KINDS[found["kind"]],
        found["user_id"],
        found["id"],
        found["payload"],
        _load_time(found, "created_at"),
        _load_time(found, "updated_at"),
        found["row_version"],
        _load_time(found, "expires_at") if "expires_at" in found else None,
        _load_vector(found["vector"]) if "vector" in found else None,
    )


def _time(time: datetime) -> str:
    return time.astimezone(timezone.utc).isoformat(timespec="microseconds")


def _load_time(found: dict[str, Any], name: str) -> datetime:
    try:
        time = datetime.fromisoformat(found[name].replace("Z", "+00:00"))
    except ValueError:
        raise ValueError(f"{name} is no time: {found[name]!r:.40}") from None
    if time.tzinfo is None:
        raise ValueError(f"{name} has no offset: {found[name]!r:.40}")
    try:
        return time.astimezone(timezone.utc)
    except OverflowError:
        raise ValueError(f"{name} is no time in UTC: {found[name]!r:.40}") from None


def _load_vector(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise ValueError("vector is no Base64") from None
