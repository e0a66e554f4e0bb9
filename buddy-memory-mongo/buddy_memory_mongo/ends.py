"""Ends of rows (rule R14) as the server compares them with its own clock, ``$$NOW``.

Expressions, and not comparisons with a time of the client. No index answers them, so that they
never change which index a query takes.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from bson.datetime_ms import DatetimeMS
from bson.int64 import Int64

from buddy_memory_mongo import encoding

_NOW_US = {"$multiply": [{"$toLong": "$$NOW"}, Int64(1000)]}
_HAS_NO_END = {"$eq": [{"$ifNull": ["$expires_us", None]}, None]}

IS_ALIVE: dict[str, Any] = {"$or": [_HAS_NO_END, {"$gt": ["$expires_us", _NOW_US]}]}
"""The expression that tells whether a document has not ended."""

ALIVE: dict[str, Any] = {"$expr": IS_ALIVE}
"""The filter for documents that have not ended."""

ENDED: dict[str, Any] = {
    "expires_at": {"$type": "date"},  # An index answers this part.
    "$expr": {"$lte": ["$expires_us", _NOW_US]},
}
"""The filter for documents that have ended."""


def end_from_now(ttl: timedelta) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the expressions of an end that comes so much later: as a date, and in µs."""
    ms = Int64(max(1, round(ttl / timedelta(milliseconds=1))))
    date = {"$add": ["$$NOW", ms]}
    return date, {"$multiply": [{"$toLong": date}, Int64(1000)]}


def end_at(expires_at: datetime | None) -> tuple[DatetimeMS | None, Int64 | None]:
    """Return an end as a date, rounded up so that no index acts early, and exactly."""
    if expires_at is None:
        return None, None
    us = encoding.to_us(expires_at)
    return DatetimeMS(-(-us // 1000)), us
