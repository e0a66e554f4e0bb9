"""The directory of a store: which user owns which id, in one hash slot of its own.

Nothing can be written in two slots at once, so a write that claims or frees an id has two steps,
and the directory keeps account of them:

1. *Intent.* One script notes in the directory who owns the id, under a new token, and adds the id
   to ``pending``. To insert, the id must be free or the user's own; to delete, it must be owned.
2. *Deed.* One script changes the row on the shelf of its user.

That it is done is told to the directory with the next intent, at no cost (``ended``). Until then,
or for ever when the client dies, the id stays in ``pending``: exactly the ids there may lack a row.
Whoever meets one looks at the shelf and settles it.

Where intents on one id overlap, the later one wins: its deed raises a *fence* on the shelf, which
refuses the deeds of earlier intents, and those begin anew. Whoever settles what others left raises
it too. So only the last intent may say how it ended, and what it says stays true.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from buddy.memory.storage.record import Kind
from buddy_memory_redis.connections import Command
from buddy_memory_redis.keys import Keys, user_of, user_part
from buddy_memory_redis.link import Link, call
from buddy_memory_redis.rows import Put

TOLD_AT_ONCE = 500
"""How many ended intents go with the next one."""

GONE = b""
"""The position of a row that is not there."""


class Claim(NamedTuple):
    """What the directory says about an id.

    ``status`` is "new", "own", "other" or "none" (see claim.lua); ``token`` is empty where no
    intent was declared; ``owner`` is set for "other"; ``open`` is b"1" when an earlier intent on
    the id may still be under way.
    """

    status: str
    token: bytes = b""
    owner: str | None = None
    open: bytes = b"0"


class Entry(NamedTuple):
    """An id in the directory: its position there, its owner and the token of the last intent."""

    id: str
    position: int
    owner: str | None
    token: bytes


class Doomed(NamedTuple):
    """An id that is going to be deleted; ``open`` is as in Claim."""

    id: str
    token: bytes
    owner: str | None
    open: bytes


class Directory:
    """The directory of one store, for both kinds of records."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link, self._keys = link, keys
        self._ended: dict[Kind, deque[tuple[str, bytes, bytes]]] = {k: deque() for k in Kind}

    def _call(self, name: str, kind: Kind, *arguments: Any) -> Command:
        return call(name, self._keys.directory(kind), *arguments)

    # --- intents

    def claim(self, puts: Sequence[Put], ttl: int, *, touch: bool) -> Command:
        """Return the command that claims the ids of ``puts``, which are all of one kind.

        ``ttl`` is in milliseconds, 0 for none. With ``touch`` an intent is declared also for ids
        that are the user's already. ``read_claims`` reads the reply.
        """
        first = puts[0].write
        kind, expected = first.record.kind, first.if_version
        records = (put.write.record for put in puts)
        pairs = ((r.id.encode(), user_part(r.user_id).encode()) for r in records)
        return self._call(
            "claim",
            kind,
            ttl,
            int(touch),
            "" if expected is None else expected,
            *self.ended_so_far(kind),
            *_flat(pairs),
        )

    async def intend(
        self, kind: Kind, ids: Sequence[str], user_id: str | None
    ) -> list[Doomed | None]:
        """Declare that ids (of that user) will be deleted; None where there is no such id."""
        meant = "" if user_id is None else user_part(user_id)
        names = [id.encode() for id in ids]
        arguments = (meant.encode(), *self.ended_so_far(kind), *names)
        replies = await self._link.one(self._call("intend", kind, *arguments))
        return [
            None if reply is None else Doomed(id, *_token_and_owner(reply[2:]), reply[:1])
            for id, reply in zip(ids, replies, strict=True)
        ]

    def ended(self, kind: Kind, id: str, token: bytes, position: bytes) -> None:
        """Note how an intent ended, to be told with the next one. ``position`` may be GONE."""
        self._ended[kind].append((id, token, position))

    def _take(self, kind: Kind) -> list[tuple[bytes, bytes, bytes]]:
        queue = self._ended[kind]
        taken: list[tuple[bytes, bytes, bytes]] = []
        try:
            while len(taken) < TOLD_AT_ONCE:
                id, token, position = queue.popleft()
                taken.append((id.encode(), token, position))
        except IndexError:  # Other threads take from the queue too.
            pass
        return taken

    def ended_so_far(self, kind: Kind) -> list[Any]:
        """Return what is still to be told, as arguments of a script: how many, and each."""
        ended = self._take(kind)
        return [len(ended), *_flat(ended)]

    async def tell(self, kind: Kind) -> None:
        """Tell now how intents ended: after bulk operations, and for what was found to be gone."""
        while ended := self._take(kind):
            await self._link.one(self._call("settle", kind, *_flat(ended)))

    async def reserve(self, kind: Kind, count: int) -> int:
        """Draw so many numbers, which follow one another, and return the first."""
        return int(await self._link.one(self._call("reserve", kind, count)))

    # --- what is there

    def look(self, kind: Kind, id: str) -> Command:
        """Return the command that asks who owns an id; ``owner_in`` reads the reply."""
        return ("HGET", self._keys.directory(kind)[1], id.encode())

    async def scan(
        self, kind: Kind, newest_first: bool, after: Any, limit: int
    ) -> tuple[int, list[Entry]]:
        """Return the server's time in µs, and up to ``limit`` ids of all users in order."""
        order, start = "desc" if newest_first else "asc", "" if after is None else after
        now, *found = await self._link.one(self._call("scan", kind, order, start, limit))
        entries = [_entry(id, int(position), value) for id, position, value in _grouped(found, 3)]
        return int(now), entries

    async def tally(self, kind: Kind) -> tuple[int, list[Entry]]:
        """Return the number of ids, and those that may lack a row."""
        count, *found = await self._link.one(self._call("tally", kind))
        pending = [_entry(id, 0, value) for id, value in _grouped(found, 2)]
        return int(count), pending


def read_claims(reply: list[bytes]) -> tuple[bytes, list[Claim]]:
    """Return the deadline in ms (0: none) and the claims, from the reply to ``claim``."""
    return reply[0], [read_claim(text) for text in reply[1:]]


def read_claim(text: bytes) -> Claim:
    """Return what a script says of one id."""
    status, _, rest = text.partition(b" ")
    if status == b"other":
        token, owner = _token_and_owner(rest)
        return Claim("other", token, owner)
    token, _, open = rest.partition(b" ")
    return Claim(status.decode(), token, None, open or b"0")


def _token_and_owner(value: bytes) -> tuple[bytes, str | None]:
    token, _, user = value.partition(b" ")
    return token, user_of(user.decode())


def _entry(id: bytes, position: int, value: bytes) -> Entry:
    token, owner = _token_and_owner(value)
    return Entry(id.decode(), position, owner, token)


def owner_in(reply: bytes | None) -> tuple[str | None] | None:
    """Return the owner in a reply to ``look``, or None when the id is free.

    The row itself may be missing or expired.
    """
    return None if reply is None else (_token_and_owner(reply)[1],)


def _flat(groups: Iterable[tuple[Any, ...]]) -> list[Any]:
    return [item for group in groups for item in group]


def _grouped(items: Sequence[Any], size: int) -> Iterator[Any]:
    return zip(*(items[start::size] for start in range(size)), strict=True)
