"""Cursors: where the next page of a listing starts, as text that may travel through a URL.

A cursor holds a place, an order, and a digest of what was listed. It names no user and no id.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from hashlib import sha256
from typing import Any, NamedTuple

from buddy.memory.errors import ConfigError
from buddy.memory.storage.record import Kind, Scope

MAX_LENGTH = 4096
"""Characters of the longest cursor that is read; ours are far shorter."""


class Listing(NamedTuple):
    """What is listed: pages of one listing go on with each other's cursors, and with no other's.

    ``generation`` is the store's own (see ``Store.generation``), ``where`` the filter as text.
    """

    kind: Kind
    scope: Scope
    newest_first: bool
    generation: str
    where: str = ""


def encode(listing: Listing, place: int | str) -> str:
    """Return the cursor of the row at ``place`` in the listing."""
    text = json.dumps([place, _digest(listing, place)], separators=(",", ":"))
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(listing: Listing, cursor: Any, place_type: type[int] | type[str]) -> int | str:
    """Return the place of a cursor. Raises ConfigError when it is none, or another listing's."""
    if not isinstance(cursor, str):
        raise ConfigError(f"a cursor is a text or None, not {type(cursor).__name__}")
    try:
        if len(cursor) > MAX_LENGTH or "=" in cursor:
            raise ValueError
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        place, digest = json.loads(b64decode(padded, altchars=b"-_", validate=True))
        if not _is_place(place, place_type):
            raise ValueError
        is_ours = digest == _digest(listing, place)
    except (ValueError, TypeError, Base64Error, RecursionError):
        raise ConfigError("this is no cursor: pass what .next of a page holds") from None
    if not is_ours:
        raise ConfigError(
            "this cursor belongs to another listing: user, prefix, sort, filter and store have to "
            "be those of the page that it came from. Start again without it."
        )
    result: int | str = place
    return result


def _is_place(place: Any, place_type: type[int] | type[str]) -> bool:
    """Tell whether a backend can be asked with this: a cursor is hostile until it is parsed."""
    if type(place) is not place_type:
        return False
    if isinstance(place, int):
        return abs(place) < 2**63
    return re.fullmatch(r"[\w:,]*", place, re.ASCII) is not None


def _digest(listing: Listing, place: int | str) -> str:
    kind, (reach, name), newest_first, generation, where = listing
    facts = [kind.value, reach.value, name, newest_first, generation, place]
    if where:
        facts.append(where)
    return sha256(json.dumps(facts).encode()).hexdigest()[:20]
