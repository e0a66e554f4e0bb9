"""Names and sort keys: documents, field names, and the values that listings are sorted by.

Firestore refuses ``/`` and the names ``.``, ``..``, ``__x__`` and "" as ids, and more than 1,500
bytes. In the parts of a document's id ``%``, ``/`` and ``:`` are written as ``%`` and two
hexadecimal digits, and so is the first character of a reserved name. Ids without a ``:`` are ours:
``%store`` marks that a collection was made, and ``%sha256-…`` names rows whose user and id are too
long (the document holds them in full).
"""

from __future__ import annotations

import re
from hashlib import sha256
from urllib.parse import unquote
from zlib import crc32

from buddy.memory.errors import ConfigError, InvalidMemoryError
from buddy.memory.storage.record import Key
from buddy.memory.storage.users import decode_user, encode_user

MAX_BYTES = 1500
"""Of a document id, an indexed value, a field path: https://cloud.google.com/firestore/quotas"""

MARKER = "%store"
"""The id of the document that marks a collection as made by this software."""

BUCKETS = "0123456789abcdef"
"""What the field ``order`` begins with: a digit of a hash, which spreads writes in its index."""

_RESERVED = re.compile(r"__.*__|\.\.?", re.DOTALL)
_UNSAFE = re.compile("[%/:]")
_PERCENT = re.compile("%")
_END = ":"  # Follows "9": the first character that is beyond all positions.
_MAX_SORTED_USER = 1400
"""Bytes of a user in ``user_order``: room is left for a hash and a position."""
_MAX_PREFIX = _MAX_SORTED_USER - 4


def _escape(text: str, unsafe: re.Pattern[str]) -> str:
    return unsafe.sub(lambda found: f"%{ord(found[0]):02X}", text)


def _without_reserved(name: str) -> str:
    return f"%{ord(name[0]):02X}{name[1:]}" if _RESERVED.fullmatch(name) else name


def _is_longer(text: str, bytes: int) -> bool:
    return len(text) * 4 > bytes and len(text.encode()) > bytes


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _unescape(text: str) -> str:
    return "" if text == "%" else unquote(text, errors="strict") if "%" in text else text


# --- documents


def _user_part(user_id: str | None) -> str:
    """Return the part of names that means a user: empty for nobody, ``%`` for ""."""
    return "" if user_id is None else _escape(user_id, _UNSAFE) or "%"


def document_id(user_id: str | None, id: str) -> str:
    """Return the id of the document that holds the row of this user with this id."""
    name = _without_reserved(f"{_user_part(user_id)}:{_escape(id, _UNSAFE)}")
    return f"%sha256-{_hash(name)}" if _is_longer(name, MAX_BYTES) else name


def decode_document_id(name: str) -> Key | None:
    """Return the user and id that ``document_id`` encoded; None for a hash, or a name not ours."""
    user_id, colon, id = name.partition(":")
    if not colon:
        return None
    try:
        return Key(_unescape(user_id) if user_id else None, _unescape(id))
    except ValueError:
        return None


def long_id(id: str) -> str | None:
    """Return the hash of an id that is too long for an index; None for others."""
    return f"%sha256-{_hash(id)}" if _is_longer(id, MAX_BYTES) else None


# --- fields


def field_name(key: str) -> str:
    """Return the name of the map field that holds this key of a payload."""
    return _without_reserved(_escape(key, _PERCENT)) if key else "%"


def decode_field_name(name: str) -> str:
    """Return the key that ``field_name`` encoded."""
    return _unescape(name)


def stamp_field(user_id: str | None) -> str:
    """Return the name of the field of ``stamps`` that holds the stamp of a row of this user."""
    if user_id is None:
        return "%nobody"
    name = _without_reserved(_user_part(user_id))
    # Quoting can double a name's length in a path.
    return f"%sha256-{_hash(name)}" if _is_longer(name, MAX_BYTES // 2 - 10) else name


def stamp_path(user_id: str | None) -> str:
    """Return the path of that field, quoted as in queries."""
    name = stamp_field(user_id).replace("\\", "\\\\").replace("`", "\\`")
    return f"stamps.`{name}`"


# --- sort keys: ``user_order`` is user, U+0000, position; ``order`` is bucket, position


def _user_key(user_id: str | None) -> str:
    """Return the user as ``user_order`` has it, sorting by code points.

    Of a user beyond 1,400 bytes these are the beginning and a hash, as longer values are cut in
    indexes. Users hold no U+0000, so no two have one key.
    """
    text = encode_user(user_id)
    if not _is_longer(text, _MAX_SORTED_USER):
        return text
    start = text.encode()[:_MAX_SORTED_USER].decode(errors="ignore")
    return f"{start}\0~{_hash(text)}"


def user_lead(user_id: str | None) -> str:
    """Return what ``user_order`` begins with in the rows of this user; the position follows.

    The user comes first, so that the writes of many users do not meet in one place of the index.
    """
    return f"{_user_key(user_id)}\0"


def beyond(lead: str) -> str:
    """Return the first text beyond all that are ``lead`` and a position."""
    return lead + _END


def user_of(user_order: str) -> str | None:
    """Return the user of a sort key, None for nobody. Raises ValueError where there is a hash."""
    key, zero, _ = user_order.rpartition("\0")
    if not zero or "\0" in key:
        raise ValueError("there is no user in it")
    return decode_user(key)


def check_prefix(prefix: str) -> str:
    """Return a prefix of users; raises InvalidMemoryError when it is longer than what is sorted."""
    if _is_longer(prefix, _MAX_PREFIX):
        raise InvalidMemoryError(
            f"a prefix of users has at most {_MAX_PREFIX:,} bytes in Firestore", "user_prefix"
        )
    return prefix


def bucket(document_id: str) -> str:
    """Return the bucket of a document in the field ``order``."""
    return BUCKETS[crc32(document_id.encode()) % len(BUCKETS)]


# --- collections


def check_collection(name: object) -> str:
    """Return a collection's name; raises ConfigError for one that Firestore refuses."""
    if not isinstance(name, str) or not name.strip():
        raise ConfigError("collection_name must be a string that is not blank")
    try:
        too_long = len(name.encode()) > MAX_BYTES - len("_summaries")
    except UnicodeEncodeError:
        raise ConfigError("collection_name must be valid Unicode") from None
    if "/" in name or _RESERVED.fullmatch(name) or too_long:
        raise ConfigError(
            f"collection_name {name!r:.80} is not valid in Firestore: no slash, not . or .., not "
            "__x__, at most 1,490 bytes"
        )
    return name
