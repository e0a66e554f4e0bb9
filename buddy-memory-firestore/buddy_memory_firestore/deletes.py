"""Deletions: one row, many rows, and everything that is there when it begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from buddy.memory.errors import ConflictError
from buddy.memory.storage import clock
from buddy.memory.storage.record import EVERYBODY, Key, Kind, Scope, has_ended
from buddy_memory_firestore import calls as requests
from buddy_memory_firestore import encoding, names
from buddy_memory_firestore.batches import MAX_WRITES, chunks, send
from buddy_memory_firestore.calls import NO_FIELDS, Calls, Range
from buddy_memory_firestore.deadline import Deadline
from buddy_memory_firestore.encoding import Seen, id_of
from buddy_memory_firestore.errors import PreconditionFailed
from buddy_memory_firestore.rows import Rows

# --- one row


async def delete(rows: Rows, kind: Kind, key: Key, if_version: int | None) -> bool:
    """Delete one row; False when there is none."""
    calls = rows.calls.within_timeout()
    guess = rows.recent.take(kind, key)
    if if_version is None:
        is_alive = await _lives(rows, calls, kind, key, guess)
        return await _delete(rows, calls, kind, key, None) and is_alive
    if (
        guess is not None
        and guess.record.version == if_version
        and not has_ended(guess.record, clock.utc_now())
        and await _delete(rows, calls, kind, key, guess.update_time)
    ):
        return True
    while True:
        seen = await rows.look(kind, key, calls)
        if seen is not None and has_ended(seen.record, clock.utc_now()):
            seen = None
        version = 0 if seen is None else seen.record.version
        if if_version != version:
            raise ConflictError(key.id, if_version, version)
        if seen is None:
            return False
        if await _delete(rows, calls, kind, key, seen.update_time):
            return True
        await calls.again(calls.deadline, f"others keep writing {key.id!r}")


async def _lives(rows: Rows, calls: Calls, kind: Kind, key: Key, guess: Seen | None) -> bool:
    """Tell whether a row has not ended, as far as it is stored; what a deletion cannot tell."""
    if guess is not None and guess.record.expires_at is None:
        return True
    found = await calls.get([rows.path(kind, key)], ["expires_at"])
    return not any(encoding.has_ended(one, clock.utc_now()) for one in found.values())


async def _delete(rows: Rows, calls: Calls, kind: Kind, key: Key, update_time: Any) -> bool:
    """Delete a document if it was last written then (None: at any time); False when not."""
    write = _deletion(await calls.name(rows.path(kind, key)), update_time)
    try:
        await calls.commit([write])
    except PreconditionFailed:
        return False
    return True


def _deletion(name: str, update_time: Any) -> Any:
    """Return the Write that deletes a document if it was written then (None: if it is there)."""
    write = requests.Write(delete=name)
    if update_time is None:
        write.current_document.exists = True
    else:
        write.current_document.update_time.CopyFrom(update_time)
    return write


# --- many rows

_RACES = 5
"""Attempts to delete a row just as it was seen, before it is deleted as it is."""


async def delete_many(rows: Rows, kind: Kind, keys: Sequence[Key]) -> int:
    """Delete rows by distinct keys; return how many there were."""
    count = 0
    for some in chunks(keys, MAX_WRITES):
        for key in some:
            rows.recent.take(kind, key)
        paths = [rows.path(kind, key) for key in some]
        found, now = await rows.calls.get(paths, ["expires_at"]), clock.utc_now()
        ended = {path for path, one in found.items() if encoding.has_ended(one, now)}
        writes = [_deletion(await rows.calls.name(path), None) for path in paths]
        done = await send(rows.calls, writes)
        count += sum(paths[i] not in ended for i in done.stored)
    return count


async def delete_all(rows: Rows, kind: Kind, scope: Scope) -> int:
    """Delete every row of a scope that was there when this began; return how many there were.

    It ends when as many rows of that age were seen as were counted at first, so that what others
    go on writing is neither deleted nor waited for. Can be repeated after a crash.
    """
    rows.recent.clear()
    range, is_bounded = rows.range(kind, scope), False
    total, _, began = await rows.calls.count(range)
    count, seen, after = 0, 0, None
    while seen < total:
        page = await rows.calls.query(
            range, MAX_WRITES, after=after, mask=["user_order", "expires_at"]
        )
        old = [document for document in page if _is_older(document, began)]
        seen += len(old)
        now = clock.utc_now()
        ended = [document for document in old if encoding.has_ended(document, now)]
        if ended:  # Not counted.
            await _delete_seen(rows.calls, ended, began)
            old = [document for document in old if not encoding.has_ended(document, now)]
        count += await _delete_seen(rows.calls, old, began)
        if len(page) < MAX_WRITES:
            break  # Others deleted some of them.
        after = page[-1].fields["user_order"].string_value
        if not old and not ended and not is_bounded:
            # Others deleted some, it seems, and write new ones: read no further than these.
            range, is_bounded = await _bounded(rows.calls, range), True
    return count


async def _bounded(calls: Calls, range: Range) -> Range:
    """Return the range up to the last document that it has now."""
    found = await calls.query(range, 1, newest_first=True, mask=[range.field])
    last = [document.fields[range.field].string_value for document in found]
    return range._replace(high=names.beyond(last[0]) if last else range.low)


async def _delete_seen(calls: Calls, documents: Sequence[Any], began: Any) -> int:
    """Delete documents, also if they are updated meanwhile, but not if they are made again.

    One that others updated at each of several attempts is deleted as it is, so that this ends.
    """
    count, races = 0, 0
    deadline = Deadline(calls.connection.timeout)
    while documents:
        pause = deadline.jitter() if races < _RACES else None
        times = [None if pause is None else document.update_time for document in documents]
        writes = [_deletion(d.name, time) for d, time in zip(documents, times, strict=True)]
        done = await send(calls, writes)
        count += len(done.stored)
        if pause is None or not done.refused:
            break
        races += 1
        await calls.connection.pause(pause)
        paths = [documents[i].name.partition("/documents/")[2] for i in done.refused]
        found = (await calls.get(paths, NO_FIELDS)).values()
        documents = [document for document in found if _is_older(document, began)]
    return count


def _is_older(document: Any, time: Any) -> bool:
    """Tell whether a document was made by that time."""
    made = document.create_time
    return (made.seconds, made.nanos) <= (time.seconds, time.nanos)


async def delete_documents(rows: Rows, kind: Kind) -> None:
    """Delete every document of a collection that was there when this began, whatever it is, but
    the marker."""
    rows.recent.clear()
    *_, began = await rows.calls.count(rows.range(kind, EVERYBODY))
    token = ""
    while True:
        page, token = await rows.calls.list_documents(
            "", rows.collections[kind], MAX_WRITES, NO_FIELDS, token
        )
        # Those without a time exist only as parents of others, which are not ours.
        present = [document for document in page if document.HasField("create_time")]
        old = [document for document in present if _is_older(document, began)]
        writes = [requests.Write(delete=d.name) for d in old if id_of(d) != names.MARKER]
        await send(rows.calls, writes)
        if not token or (present and not old):
            return
