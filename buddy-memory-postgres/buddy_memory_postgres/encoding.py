r"""Payloads as jsonb: plain JSON that SQL can query, escaped only where jsonb would lose something.

jsonb refuses U+0000 and lone surrogates, which become U+001B and four hexadecimal digits (see
``buddy.memory.payload.escape``). Its numbers are decimal: it forgets the sign of -0.0, which is
kept as the text ``"\u001b-0.0"``, and would return 1e16 as an int, so that large floats are
written out with a fraction, 10000000000000000.0.
"""

from __future__ import annotations

import re
from decimal import Decimal
from math import copysign
from typing import Any

from buddy.memory import payload
from buddy.memory.compact import to_text

_NEGATIVE_ZERO = "\x1b-0.0"
# No other text begins like this: in all others an U+001B is followed by four digits.
_NEGATIVE_ZERO_AS_TEXT = r'"\u001b-0.0"'
_LARGE_FLOAT = r'"\\u001b(-?[0-9.]+e\+[0-9]+)"'


def dump(value: dict[str, Any]) -> str:
    """Return an encoded payload as JSON text that jsonb takes and gives back without a change."""
    text = to_text(value)
    if _may_be_special(text):
        escaped = payload.escape(value, payload.NEEDS_ESCAPE_OR_NUL)
        text = re.sub(_LARGE_FLOAT, _written_out, to_text(_mark(escaped)))
    return text


def _may_be_special(text: str) -> bool:
    """Tell whether something in JSON text may need more than to be written as it stands."""
    return (
        "\\u0000" in text
        or "\\u001b" in text
        or "e+" in text
        or "-0.0" in text
        or not (text.isascii() or payload.is_unicode(text))
    )


def _mark(value: Any) -> Any:
    """Return an escaped value with marked text in place of the floats that jsonb would change."""
    if isinstance(value, float):
        if not value and copysign(1, value) < 0:
            return _NEGATIVE_ZERO
        return f"\x1b{value!r}" if "e+" in repr(value) else value
    if isinstance(value, dict):
        return {key: _mark(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_mark(item) for item in value]
    return value


def _written_out(found: re.Match[str]) -> str:
    return f"{Decimal(found[1]):f}.0"


def load(text: str) -> dict[str, Any]:
    """Return the payload that ``dump`` wrote. Raises ValueError when it is no JSON object."""
    # Before the escapes are undone, which may make the same text.
    return payload.from_json(text.replace(_NEGATIVE_ZERO_AS_TEXT, "-0.0"))
