"""Reads that are no listing: rows by name, rows by id alone, users."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

from buddy.memory.storage import clock
from buddy.memory.storage.record import Corrupt, Key, Kind, Record, Scope
from buddy_memory_firestore import encoding, names
from buddy_memory_firestore.batches import chunks
from buddy_memory_firestore.calls import MAX_IN, Range
from buddy_memory_firestore.rows import Found, Rows

PAGE = 1000
"""Documents that one request returns at most."""

_SAME_ID = 2
"""Rows of one id that ``find`` returns at most."""
_FIRST_USERS = 8


async def get_many(rows: Rows, kind: Kind, keys: Sequence[Key]) -> list[Record | Corrupt | None]:
    """Return the rows with these keys, in their order; None for what is not there."""
    found: list[Record | Corrupt | None] = []
    for some in chunks(keys, PAGE):
        paths = [rows.path(kind, key) for key in some]
        documents = await rows.calls.get(paths)
        read = await rows.read(kind, (Found("", document) for document in documents.values()))
        records = {rows.path(kind, record.key): record for record in read}
        found += [records.get(path) for path in paths]
    return found


async def find(rows: Rows, kind: Kind, ids: Sequence[str]) -> list[Record | Corrupt]:
    """Return up to two rows of each id, whoever's they are."""
    short = [id for id in ids if names.long_id(id) is None]
    long = [name for id in ids if (name := names.long_id(id)) is not None]
    found = await _with(rows, kind, "id", short) + await _with(rows, kind, "long_id", long)
    read = await rows.read(kind, (Found("", document) for document in found))
    if len(read) == len(found):
        return read
    # Rows that have ended took the places of others.
    whole: list[Record | Corrupt] = []
    for id in ids:
        whole += await _all_with(rows, kind, id)
    return whole


async def _all_with(rows: Rows, kind: Kind, id: str) -> list[Record | Corrupt]:
    """Return up to two living rows of one id, of which any number may have ended."""
    long = names.long_id(id)
    field, value = ("id", id) if long is None else ("long_id", long)
    documents = await rows.calls.query_in(rows.collections[kind], field, [value], PAGE)
    read = await rows.read(kind, (Found("", document) for document in documents))
    return read[:_SAME_ID]


async def _with(rows: Rows, kind: Kind, field: str, values: Sequence[str]) -> list[Any]:
    """Return up to two documents with each of these values in a field, from one round trip.

    One more follows where a value is so common that it took the places of others.
    """
    found: dict[str, list[Any]] = {value: [] for value in values}
    groups = list(chunks(values, MAX_IN))
    while groups:
        queries = [
            partial(rows.calls.query_in, rows.collections[kind], field, some, _SAME_ID * len(some))
            for some in groups
        ]
        alone: list[Sequence[str]] = []
        for some, documents in zip(groups, await rows.calls.gather(queries), strict=True):
            of_values: dict[str, list[Any]] = {value: [] for value in some}
            for document in documents:
                of_values[document.fields[field].string_value].append(document)
            found |= {value: of[:_SAME_ID] for value, of in of_values.items()}
            if any(len(of) > _SAME_ID for of in of_values.values()):
                alone += [[value] for value, of in of_values.items() if len(of) < _SAME_ID]
        groups = alone
    return [document for of in found.values() for document in of]


async def list_users(
    rows: Rows, kind: Kind, *, prefix: str, after: str | None, limit: int | None
) -> list[str]:
    """Return users who have a row, in code-point order.

    Each request skips to the next user. It asks for as many rows as the last one found users, or
    twice as many where each row was of another user.
    """
    range = rows.range(kind, Scope.of_prefix(prefix))
    if after is not None:
        range = range._replace(low=max(range.low, names.beyond(names.user_lead(after))))
    users: dict[str, None] = {}
    size = _FIRST_USERS
    while limit is None or len(users) < limit:
        size = min(size, PAGE if limit is None else limit - len(users))
        mask = ["user_order", "user_id", "expires_at"]
        found, now = await rows.calls.query(range, size, mask=mask), clock.utc_now()
        leads: dict[str, Any] = {}
        living: dict[str, Any] = {}
        for document in found:
            text = document.fields["user_order"].string_value
            lead = "".join(text.rpartition("\0")[:2]) or f"{text}\0"
            leads[lead] = document
            if not encoding.has_ended(document, now):
                living[lead] = document
        for lead in leads.keys() - living.keys():
            if (document := await _first_living(rows, range, lead, now)) is not None:
                living[lead] = document
        users |= dict.fromkeys(
            user for lead in leads if lead in living and (user := _user(living[lead])) is not None
        )
        if len(found) < size:
            break
        range = range._replace(low=names.beyond(next(reversed(leads))))
        size = len(leads) * 2 if len(leads) == len(found) else len(leads)
    return list(users)


async def _first_living(rows: Rows, range: Range, lead: str, now: datetime) -> Any:
    """Return a document of a user that has not ended; None where there is none."""
    of_user, last = range._replace(low=lead, high=names.beyond(lead)), None
    while True:
        page = await rows.calls.query(
            of_user, PAGE, after=last, mask=["user_order", "user_id", "expires_at"]
        )
        for document in page:
            if not encoding.has_ended(document, now):
                return document
        if len(page) < PAGE:
            return None
        last = page[-1].fields["user_order"].string_value


def _user(document: Any) -> str | None:
    try:
        return names.user_of(document.fields["user_order"].string_value)
    except ValueError:  # It is too long to be there.
        user_id = document.fields.get("user_id")
        return None if user_id is None else str(user_id.string_value)
