"""The end of rows that memory objects write (rule R14)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from buddy.memory.storage import clock
from buddy.memory.storage.expiry import KEEP, Ttl, parse_ttl
from buddy.memory.storage.self_description import no_expiry


class Ends(NamedTuple):
    """The arguments of upserts: of a ``new`` row, and of one that is changed, which ``kept`` is."""

    new: Mapping[str, Any]
    kept: Mapping[str, Any]


def ends_of(db: Any, ttl: Ttl) -> Ends:
    """Return how long rows live that are written with this ``ttl``; a change never moves the end.

    Raises ConfigError for what is no ``ttl``, UnsupportedError for any in a database whose rows
    cannot end.
    """
    if ttl is not None:
        parse_ttl(ttl, None, clock.utc_now())
        if not db.keeps_ends:
            raise no_expiry(db)
    return Ends({} if ttl is None else {"ttl": ttl}, {"ttl": KEEP} if db.keeps_ends else {})
