"""One reversible encoding of any text as a document id or a field name, and the sort keys.

Firestore refuses ``/`` and the names ``.``, ``..``, ``__x__`` and "", and more than 1,500 bytes.
Names that it takes stay as they are; in others, and where there is a ``%``, the characters that
matter are written as ``%`` and two hexadecimal digits. What no text encodes to is free for us:
``%store`` marks that a store was made, and ``%sha256-…`` names ids that are too long (they stand in
full in the document).
"""

from __future__ import annotations

import re
from hashlib import sha256
from urllib.parse import unquote

from buddy.memory.errors import ConfigError

MAX_ID = 1500
"""Bytes of a document id, and of an indexed value: https://cloud.google.com/firestore/quotas"""

MARKER = "%store"
"""The id of the document that stands for the store itself."""

_RESERVED = re.compile(r"__.*__|\.\.?", re.DOTALL)
_UNSAFE = re.compile("[%/]")
_PERCENT = re.compile("%")
_ORDER_DIGITS = 20


def _escape(found: re.Match[str]) -> str:
    return f"%{ord(found[0]):02X}"


def _encode(text: str, unsafe: re.Pattern[str]) -> str:
    name = unsafe.sub(_escape, text)
    if _RESERVED.fullmatch(name):
        name = f"%{ord(name[0]):02X}{name[1:]}"
    return name


def document_id(id: str) -> str:
    """Return the id of the document that holds the row with this id."""
    name = _encode(id, _UNSAFE)
    if len(name) * 4 > MAX_ID and len(name.encode()) > MAX_ID:
        return f"%sha256-{sha256(id.encode()).hexdigest()}"
    return name


def decode(name: str) -> str:
    """Return the text that ``document_id`` or ``field_name`` encoded; not for hashed ids."""
    return "" if name == "%" else unquote(name, errors="strict") if "%" in name else name


def field_name(key: str) -> str:
    """Return the name of the map field that holds this key of a payload."""
    return _encode(key, _PERCENT) if key else "%"


# --- sort keys


def _user_prefix(user_id: str) -> str:
    name = _UNSAFE.sub(_escape, user_id)
    if len(name.encode()) > MAX_ID - _ORDER_DIGITS - 1:  # Longer values are cut in indexes.
        name = f"%sha256-{sha256(user_id.encode()).hexdigest()}"
    return name


def user_order(user_id: str, order: int | str) -> str:
    """Return the one field that sorts the rows of a user: who, then when in the order of writing.

    A range of it is served by its automatic index, where a filter and an order would need a
    composite one. The user comes first, so that the writes of many users do not meet in one
    place of the index.
    """
    digits = order if isinstance(order, str) else f"{order:0{_ORDER_DIGITS}d}"
    return f"{_user_prefix(user_id)}/{digits}"


def user_range(user_id: str) -> tuple[str, str]:
    """Return the bounds (first, and first beyond) of ``user_order`` of this user."""
    prefix = _user_prefix(user_id)
    return f"{prefix}/", f"{prefix}0"  # "0" follows "/"


def order_of(user_order: str) -> int | str:
    """Return the order in a value of ``user_order``; as text when it is not one of ours."""
    digits = user_order.rpartition("/")[2]
    return int(digits) if digits.isdecimal() and len(digits) == _ORDER_DIGITS else digits


# --- collections


def check_collection(name: object) -> str:
    """Return a collection's name; raises ConfigError for one that Firestore refuses."""
    if not isinstance(name, str) or not name:
        raise ConfigError("collection_name must be a non-empty string")
    try:
        too_long = len(name.encode()) > MAX_ID - len("_summaries")
    except UnicodeEncodeError:
        raise ConfigError("collection_name must be valid Unicode") from None
    if "/" in name or _RESERVED.fullmatch(name) or too_long:
        raise ConfigError(
            f"collection_name {name!r:.80} is not legal in Firestore: no slash, not . or .., not "
            "__x__, at most 1,490 bytes"
        )
    return name
