"""Users: the rows of nobody, and users as text that sorts and ranges in code-point order."""

from __future__ import annotations

from typing import Final

_MARK = "\x01"
_LAST = 0x10FFFF


class Nobody:
    """The type of ``NOBODY``, of which there is one object, also after pickle and copy."""

    _the_one: Nobody | None = None

    def __new__(cls) -> Nobody:
        if cls._the_one is None:
            cls._the_one = super().__new__(cls)
        return cls._the_one

    def __repr__(self) -> str:
        return "NOBODY"

    def __reduce__(self) -> str:
        return "NOBODY"


NOBODY: Final = Nobody()
"""Names the rows without a user, where None means everybody or "not named" (rule R1)."""


def encode_user(user_id: str | None) -> str:
    """Return a user as non-null text; nobody (None) is the empty one.

    No two users have one text, and texts keep the code-point order and the prefixes of users:
    ``""`` and what begins with U+0001 get U+0001 in front, everything else stays as it is.
    """
    if user_id is None:
        return ""
    if not user_id or user_id[0] == _MARK:
        return _MARK + user_id
    return user_id


def decode_user(text: str) -> str | None:
    """Return the user that ``encode_user`` was given."""
    if not text:
        return None
    return text[1:] if text[0] == _MARK else text


def prefix_range(prefix: str) -> tuple[str, str | None]:
    """Return ``low`` and ``high``: a user begins with ``prefix`` exactly when its encoded text is
    ``>= low`` and ``< high`` in code-point order (``high`` None: no upper bound).

    Nobody is in no range: ``""`` is the prefix of every named user.
    """
    if not prefix:
        return _MARK, None
    low = encode_user(prefix)
    return low, _next_prefix(low)


def _next_prefix(text: str) -> str | None:
    """Return the least text above all that begin with ``text``; None where there is none."""
    while text:
        code = ord(text[-1])
        if code < _LAST:
            following = code + 1
            # Surrogates are no characters of stored text: behind U+D7FF comes U+E000.
            return text[:-1] + chr(0xE000 if 0xD800 <= following <= 0xDFFF else following)
        text = text[:-1]
    return None
