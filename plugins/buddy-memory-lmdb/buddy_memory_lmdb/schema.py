r"""What is stored under which key.

=====================================  ========================================================
key, behind the store's own beginning  value
=====================================  ========================================================
``!``                                  the layout, and the token of this generation
``#``                                  the last position given
kind ``r`` position                    the row (see ``encoding``)
kind ``i`` id, user                    its position
kind ``u`` user, position              its stamp, and the key of its id
kind ``n`` name of the user            the whole name; nobody has none
kind ``e`` end, position               nothing: rows that have an end, by its microseconds
=====================================  ========================================================

Keys of LMDB are ordered bytes of at most 511, and ids and users are strings of any length: those
above are digests, and a name is the beginning of it. A position is eight bytes, big-endian, so
that rows are in the order of writing.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from hashlib import blake2b
from secrets import token_bytes

from buddy.memory.errors import SchemaError
from buddy.memory.storage.record import Kind
from buddy.memory.storage.users import encode_user

_LAYOUT = b"2:"
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_NAME_BYTES = 400

DIGEST_BYTES = 20
"""The bytes of a digest, with which the key of a name ends."""


class Keys:
    """The keys of one store."""

    def __init__(self, table_name: str) -> None:
        self._table_name = table_name
        self.store = b"buddy-memory:" + _digest(table_name)
        self.made = self.store + b"!"
        self.last = self.store + b"#"

    def rows(self, kind: Kind) -> bytes:
        """What the keys of rows begin with, before the position."""
        return self._of(kind, b"r")

    def ids(self, kind: Kind, id: str) -> bytes:
        """What the keys of all rows with one id begin with."""
        return self._of(kind, b"i") + _digest(id)

    def id(self, kind: Kind, user_id: str | None, id: str) -> bytes:
        """The key of a row's position."""
        return self.ids(kind, id) + _digest(encode_user(user_id))

    def user(self, kind: Kind, user_id: str | None) -> bytes:
        """What the keys of a user's rows begin with, before the position."""
        return self._of(kind, b"u") + _digest(encode_user(user_id))

    def names(self, kind: Kind, prefix: str = "") -> bytes:
        """What the keys of the names of users begin with that begin with ``prefix``."""
        return self._of(kind, b"n") + prefix.encode()[:_NAME_BYTES]

    def name(self, kind: Kind, user_id: str) -> bytes:
        """The key of a user's name: in code-point order, as far as it goes."""
        # U+0000 is in no name, and sorts before what is.
        return self.names(kind, user_id) + b"\0" + _digest(user_id)

    def ends(self, kind: Kind) -> bytes:
        """What the keys of ends begin with."""
        return self._of(kind, b"e")

    def end(self, kind: Kind, expires_at: datetime, at: bytes) -> bytes:
        """The key of the end of the row at a packed position."""
        return self.ends(kind) + pack(max(0, (expires_at - _EPOCH) // _MICROSECOND)) + at

    def kind(self, kind: Kind) -> bytes:
        """What all keys of a kind begin with."""
        return self.store + kind.value[:1].encode()

    def _of(self, kind: Kind, index: bytes) -> bytes:
        return self.kind(kind) + index

    def generation(self, made: bytes) -> str:
        """Return the token in the value of ``made``. Raises SchemaError for an older layout."""
        if not made.startswith(_LAYOUT):
            raise SchemaError(
                f"The table {self._table_name!r} has the layout of an earlier buddy-memory.",
                "Export it with the release that wrote it, and import it here.",
            )
        return made.removeprefix(_LAYOUT).hex()


def new_generation() -> bytes:
    """Return the value of ``made`` for a store that is about to be made."""
    return _LAYOUT + token_bytes(8)


def _digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=DIGEST_BYTES).digest()


def pack(number: int) -> bytes:
    """Return a position or a stamp as eight bytes that sort as it does."""
    return number.to_bytes(8, "big")


def unpack(number: bytes) -> int:
    """Return what was packed."""
    return int.from_bytes(number, "big")
