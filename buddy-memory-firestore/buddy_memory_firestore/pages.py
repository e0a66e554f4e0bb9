"""Pages of a scope in the order of first writing.

The automatic index of one field sorts the rows of a user. All users' rows are spread over sixteen
ranges of another field, and those of a prefix over its users: these are merged here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from buddy.memory.storage.record import Corrupt, Kind, Reach, Record, Scope
from buddy_memory_firestore import names
from buddy_memory_firestore.calls import Range
from buddy_memory_firestore.reads import PAGE, list_users
from buddy_memory_firestore.rows import Found, Rows

FEW = 300
"""Rows of a prefix that are read and sorted rather than merged user by user."""


class _Source(NamedTuple):
    """Documents in the order of writing: their ``field`` holds ``lead`` and the position."""

    collection: str
    field: str
    lead: str

    @property
    def range(self) -> Range:
        return Range(self.collection, self.field, self.lead, names.beyond(self.lead))

    def position(self, document: Any) -> str:
        text: str = document.fields[self.field].string_value
        return text[len(self.lead) :]


async def page(
    rows: Rows,
    kind: Kind,
    scope: Scope,
    *,
    newest_first: bool,
    after: str | None,
    limit: int | None,
) -> list[Record | Corrupt]:
    """Return rows of a scope in the order of writing."""
    records: list[Record | Corrupt] = []
    while True:
        missing = None if limit is None else limit - len(records)
        found = await _page(rows, kind, scope, newest_first, after, missing)
        records += await rows.read(kind, found)
        # Rows that have ended must not hide others.
        if missing is None or len(found) < missing or len(records) == limit:
            return records
        after = found[-1].position


async def _page(
    rows: Rows, kind: Kind, scope: Scope, newest_first: bool, after: str | None, limit: int | None
) -> list[Found]:
    collection = rows.collections[kind]
    if scope.reach is Reach.USER:
        sources = [_Source(collection, "user_order", names.user_lead(scope.name))]
    elif scope.reach is Reach.EVERYBODY:
        sources = [_Source(collection, "order", bucket) for bucket in names.BUCKETS]
    else:
        range = rows.range(kind, scope)
        if limit is None or (await rows.calls.count(range)).documents <= max(2 * limit, FEW):
            return await _sorted(rows, range, newest_first, after, limit)
        users = await list_users(rows, kind, prefix=scope.name or "", after=None, limit=None)
        sources = [_Source(collection, "user_order", names.user_lead(user)) for user in users]
    return await _merged(rows, sources, newest_first, after, limit)


async def _sorted(
    rows: Rows, range: Range, newest_first: bool, after: str | None, limit: int | None
) -> list[Found]:
    """Read a whole range that is sorted by users, and sort it by positions."""
    found: list[Found] = []
    last = None
    while True:
        part = await rows.calls.query(range, PAGE, after=last)
        for document in part:
            last = document.fields["user_order"].string_value
            found.append(Found(last.rpartition("\0")[2], document))
        if len(part) < PAGE:
            break
    if after is not None:
        found = [one for one in found if _is_before(after, one.position, newest_first)]
    return _in_order(found, newest_first)[:limit]


async def _merged(
    rows: Rows, sources: Sequence[_Source], newest_first: bool, after: str | None, limit: int | None
) -> list[Found]:
    """Merge sources, each of which is read as far as it takes part in the page."""
    found: list[Found] = []
    last = dict.fromkeys(sources, after)
    open, lagging, missing = list(sources), list(sources), limit
    while lagging:
        # A little more than its share, so that most sources need not be asked again.
        size = PAGE if missing is None else -(-missing // len(open)) + (len(open) > 1)
        size = min(size, PAGE)
        parts = await rows.calls.gather(
            [
                partial(
                    rows.calls.query,
                    source.range,
                    size,
                    newest_first=newest_first,
                    after=None if last[source] is None else f"{source.lead}{last[source]}",
                )
                for source in lagging
            ]
        )
        for source, part in zip(lagging, parts, strict=True):
            found += [Found(source.position(document), document) for document in part]
            if len(part) < size:
                open.remove(source)
            else:
                last[source] = found[-1].position
        found = _in_order(found, newest_first)
        lagging, missing = _lagging(
            found, {source: last[source] for source in open}, newest_first, limit
        )
    return found[:limit]


def _lagging(
    found: Sequence[Found], last: dict[_Source, str | None], newest_first: bool, limit: int | None
) -> tuple[list[_Source], int | None]:
    """Return the sources that may hold more of the page, and how many rows are still open."""
    if limit is None or len(found) < limit:
        return list(last), None if limit is None else limit - len(found)
    end = found[limit - 1].position
    lagging = [s for s, seen in last.items() if seen and _is_before(seen, end, newest_first)]
    places = [last[source] or "" for source in lagging]
    horizon = (max(places) if newest_first else min(places)) if places else end
    return lagging, sum(_is_before(horizon, one.position, newest_first) for one in found[:limit])


def _is_before(position: str, other: str, newest_first: bool) -> bool:
    return position > other if newest_first else position < other


def _in_order(found: list[Found], newest_first: bool) -> list[Found]:
    return sorted(found, key=lambda one: one.position, reverse=newest_first)
