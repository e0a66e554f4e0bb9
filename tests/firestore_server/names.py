"""Names of databases, documents and fields, and what they may look like (LIMITS)."""

from __future__ import annotations

import re

from tests.firestore_server.protocol import Refusal, invalid

MAX_ID = 1500
MAX_NAME = 6 * 1024
MAX_FIELD_NAME = 1500
MAX_SUBCOLLECTION_DEPTH = 100

_RESERVED = re.compile(r"__.*__", re.DOTALL)
_DATABASE = re.compile(r"(projects/[^/]+/databases/[^/]+)(/documents(?:/(.*))?)?", re.DOTALL)
_SIMPLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_STEP = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)|`((?:[^`\\]|\\.)+)`", re.DOTALL)

FieldPath = tuple[str, ...]


def split(name: str) -> tuple[str, str]:
    """Return the database and the path below ``documents`` ("" for the root) of a full name."""
    found = _DATABASE.fullmatch(name)
    if found is None:
        raise invalid(f"Invalid resource name: {name!r:.200}")
    return found[1], found[3] or ""


def check_id(id: str, what: str) -> None:
    """Refuse what LIMITS forbids in collection and document ids."""
    if not id:
        raise invalid(f"{what} must not be empty")
    if id in (".", ".."):
        raise invalid(f"{what} {id!r} is a period or two")
    if _RESERVED.fullmatch(id):
        raise Refusal("INVALID_ARGUMENT", f'{what} "{id}" is invalid because it is reserved.')
    if len(id.encode()) > MAX_ID:
        raise invalid(f"{what} is longer than {MAX_ID} bytes")


def check_document(path: str) -> str:
    """Return a document's path; refuse one that names no document or breaks a rule (LIMITS)."""
    steps = path.split("/")
    if len(steps) % 2:
        raise invalid(f"{path!r:.200} names a collection, not a document")
    for i, step in enumerate(steps):
        check_id(step, "Document id" if i % 2 else "Collection id")
    if len(path.encode()) > MAX_NAME:
        raise invalid(f"a document name is longer than {MAX_NAME} bytes")
    if len(steps) // 2 > MAX_SUBCOLLECTION_DEPTH:
        raise invalid("subcollections are nested deeper than 100 levels")
    return path


def check_field_name(name: str) -> None:
    """Refuse what LIMITS and the comment on Document.fields (RPC) forbid in field names."""
    if not name:
        raise invalid("a field name must not be empty")
    if _RESERVED.fullmatch(name):
        raise invalid(f"the field name {name!r:.80} is reserved: it matches __.*__")
    if len(name.encode()) > MAX_FIELD_NAME:
        raise invalid(f"a field name is longer than {MAX_FIELD_NAME} bytes")


def field_path(text: str) -> FieldPath:
    """Return the steps of a field path such as ``a.`b.c` `` (RPC: Document.fields)."""
    steps: list[str] = []
    at = 0
    while True:
        found = _STEP.match(text, at)
        if found is None:
            raise invalid(f"Invalid field path: {text!r:.200}")
        steps.append(found[1] or re.sub(r"\\(.)", r"\1", found[2], flags=re.DOTALL))
        at = found.end()
        if at == len(text):
            break
        if text[at] != ".":
            raise invalid(f"Invalid field path: {text!r:.200}")
        at += 1
    if len(text.encode()) > MAX_FIELD_NAME:
        raise invalid(f"a field path is longer than {MAX_FIELD_NAME} bytes")
    return tuple(steps)


def written_path(text: str) -> FieldPath:
    """Return the steps of a field path that is written to: no reserved name in it."""
    path = field_path(text)
    for step in path:
        check_field_name(step)
    return path
