"""Arguments, parsed: each function returns a value that every Store can trust, or raises."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from random import getrandbits
from typing import Any

from buddy.memory import payload
from buddy.memory.errors import ConfigError, InvalidMemoryError
from buddy.memory.storage.expiry import LAST_END, OWN, End
from buddy.memory.storage.record import (
    EVERYBODY,
    MAX_VERSION,
    STAMP_BITS,
    Draft,
    Record,
    Scope,
    Write,
)
from buddy.memory.storage.users import NOBODY

_MAX_INT = 2**63 - 1
_MAX_PAGE = 10**9
"""No page holds more rows; one more than asked for has to be a number that every backend takes."""

_LAST_UPDATE = datetime.max.replace(tzinfo=timezone.utc) - timedelta(days=1)
"""An update moves the time of the last write forward (rule R2), for which there has to be room."""


def prepare(draft: Draft, now: datetime, if_version: int | None = None, end: End = OWN) -> Write:
    """Return the write for what a caller handed in (rules R1, R2, R8, R14), before any I/O."""
    kind, user_id, id, given, created, updated, ends = draft
    # Usually no times are given, and a bulk write prepares very many rows.
    if created is not None or updated is not None:
        updated = check_time(updated, "updated_at")
        if updated is not None and updated > _LAST_UPDATE:
            raise InvalidMemoryError(f"{updated} leaves no room for an update", "updated_at")
        created = check_time(created, "created_at") or updated
    record = Record(
        kind,
        check_user(user_id),
        check_id(id),
        payload.encode(given, kind),
        created or now,
        updated or now,
        1,
        None if ends is None or not end.own else check_end(ends, now),
        None,
        getrandbits(STAMP_BITS),  # As new_stamp, without a call: bulk writes prepare many rows.
    )
    return Write(record, now, if_version, end.ttl, end.keep)


def check_id(id: Any, name: str = "id") -> str:
    """Return a non-empty string that every backend can hold as a key."""
    if id == "":
        raise InvalidMemoryError("an id must not be empty", name)
    return _check_key(id, name)


def check_user(user_id: Any) -> str | None:
    """Return the user of a row: any string, also an empty one, or None for nobody."""
    if user_id is None or user_id is NOBODY:
        return None
    return _check_key(user_id, "user_id")


def check_named_user(user_id: Any) -> str | None:
    """Return the user of a call that has to name one; None there is a mistake, NOBODY is not."""
    if user_id is None:
        raise InvalidMemoryError(
            "name the user (NOBODY for the rows without one); clear() empties the whole store",
            "user_id",
        )
    return check_user(user_id)


def check_scope(user_id: Any, user_prefix: Any = None) -> Scope:
    """Return whose rows a listing is about; without user and prefix everybody's."""
    if user_prefix is None:
        return EVERYBODY if user_id is None else Scope.of_user(check_user(user_id))
    if user_id is not None:
        raise ConfigError("a listing takes either user_id or user_prefix, not both")
    return Scope.of_prefix(check_prefix(user_prefix))


def check_prefix(prefix: Any, name: str = "user_prefix") -> str:
    """Return what users begin with, or come behind: any string that a user id could begin with."""
    return _check_key(prefix, name)


def check_full_prefix(prefix: Any) -> str:
    """Return the prefix of a deletion, which must not be empty."""
    if prefix is None or prefix == "":
        raise InvalidMemoryError(
            "name a prefix of at least one character; clear() empties the whole store",
            "user_prefix",
        )
    return check_prefix(prefix)


def _check_key(key: Any, name: str) -> str:
    if type(key) is str and key.isascii() and "\0" not in key:
        return key
    if not isinstance(key, str):
        raise InvalidMemoryError(f"must be a string, not {type(key).__name__}", name)
    if "\0" in key:
        raise InvalidMemoryError("must not contain U+0000", name)
    if not key.isascii():
        try:
            key.encode()
        except UnicodeEncodeError:
            raise InvalidMemoryError("must not contain a lone surrogate", name) from None
    return str.__str__(key)


def check_ids(ids: Any) -> list[str]:
    """Return the ids of an iterable, in its order. One string is not a list of ids."""
    if isinstance(ids, (str, bytes)) or not isinstance(ids, Iterable):
        raise InvalidMemoryError(f"must be a list of ids, not {type(ids).__name__}", "ids")
    return [check_id(id) for id in ids]


def check_time(time: Any, name: str) -> datetime | None:
    """Return an aware UTC datetime; a naive one is local time, as everywhere in Python."""
    if time is None:
        return None
    if not isinstance(time, datetime):
        raise InvalidMemoryError(f"must be a datetime, not {type(time).__name__}", name)
    try:
        utc = time.astimezone(timezone.utc)
        # A plain one of a subclass, whose methods may answer otherwise (pandas, pendulum).
        return utc if type(utc) is datetime else _plain(utc)
    except (OverflowError, OSError, TypeError, ValueError):
        raise InvalidMemoryError(f"{time!r} cannot be expressed in UTC", name) from None


def check_end(time: Any, now: datetime) -> datetime:
    """Return the end of a row that is to be written: a time that has not come yet."""
    end = check_time(time, "expires_at")
    if end is None or end <= now:
        raise InvalidMemoryError(f"{time} has passed; ttl=NEVER takes the end away", "expires_at")
    if end.replace(tzinfo=None) > LAST_END:
        raise InvalidMemoryError(f"{time} is beyond what every backend holds", "expires_at")
    return end


def _plain(utc: datetime) -> datetime:
    parts = (utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second, utc.microsecond)
    return datetime(*parts, tzinfo=timezone.utc)


def check_version(if_version: Any) -> int | None:
    """Return the expected version: an int >= 0 (0: no row), or None for any."""
    if if_version is None:
        return None
    return _check_count(if_version, "if_version")


def check_stored_version(version: Any) -> int:
    """Return the version of a row that is stored somewhere: an int from 1 to MAX_VERSION."""
    if not 1 <= _check_count(version, "version") <= MAX_VERSION:
        raise ConfigError(f"the version of a stored row is from 1 to {MAX_VERSION}, not {version}")
    return int(version)


def check_limit(limit: Any) -> int | None:
    """Return how many rows to read: an int >= 0, or None for all."""
    return None if limit is None else _check_count(limit, "limit")


def check_page_size(page_size: Any) -> int:
    """Return a number of rows >= 1."""
    if _check_count(page_size, "page_size") == 0:
        raise ConfigError("page_size must be at least 1")
    return int(page_size)


def check_page_limit(limit: Any) -> int:
    """Return how many rows a page has: an int >= 1."""
    if _check_count(limit, "limit") == 0:
        raise ConfigError("the limit of a page must be at least 1")
    return min(int(limit), _MAX_PAGE)


def check_sort(sort: Any) -> bool:
    """Return whether to read newest first."""
    if sort is None or sort == "desc":
        return True
    if sort == "asc":
        return False
    raise ConfigError(f'sort must be "desc" (newest first, also None) or "asc", not {sort!r:.80}')


def _check_count(number: Any, name: str) -> int:
    if type(number) is not int or not 0 <= number <= _MAX_INT:
        raise ConfigError(f"{name} must be an int >= 0 or None, not {number!r:.80}")
    return number
