"""Awkward values that every backend must take, by names that read like a specification."""

from __future__ import annotations

import unicodedata
from typing import Any


def nested(levels: int) -> Any:
    """Return objects and lists in turn, ``levels`` deep."""
    value: Any = "bottom"
    for level in range(levels):
        value = [value] if level % 2 else {"k": value}
    return value


STRANGE_KEYS = {
    "glob star": "*",
    "glob set": "[a-z]?",
    "colon": "a:b",
    "slash": "a/b",
    "dot": ".",
    "dots": "..",
    "dunder": "__x__",
    "braces": "{a}",
    "quotes": 'it\'s "quoted"',
    "sql": "'; DROP TABLE memory; --",
    "percent": "100%s %(id)s",
    "dollar": "$where",
    "newline": "a\nb\r\n",
    "blank": " ",
    "padded": " a ",
    "nfc": unicodedata.normalize("NFC", "café"),
    "nfd": unicodedata.normalize("NFD", "café"),
    "upper": "CASE",
    "lower": "case",
    "emoji": "🦉🏽‍♀️",
    "escape": "\x1b[0m",
    "long": "x" * 500,
    "long and wide": "🦉" * 500,
    "looks like none": "None",
    "looks like number": "0",
}
"""Legal ids and user ids."""

PAYLOADS: dict[str, dict[str, Any]] = {
    "empty": {},
    "empty key": {"": 1},
    "dotted key": {"a.b": {"c.d": 1}},
    "dollar key": {"$set": {"$where": 1}},
    "dunder key": {"__x__": 1},
    "key with U+0000": {"a\x00b": "c\x00d"},
    "lone surrogate": {"\ud800": "\udfff tail"},
    "surrogate pair in pieces": {"s": "\ud83d\ude00"},
    "emoji": {"🦉": "🦉🏽‍♀️"},
    "control characters": {"s": "".join(map(chr, range(32))) + "\x7f\x85\u2028\u2029"},
    "escape character": {"\x1b0041": "\x1b[31mred\x1b[0m", "x": "\x1b0000"},
    "backslashes": {"\\u0000": "\\ud800 \\\\ \\"},
    "lists in lists": {"l": [[], [[1, [2]], {}], [None, [True, "x"]]]},
    "depth 50": {"d": nested(49)},
    "int64": {"max": 2**63 - 1, "min": -(2**63), "2**53+1": 2**53 + 1},
    "floats": {"a": 0.1, "b": -1.5e300, "c": 5e-324, "d": 1.0, "e": -0.0, "f": 1e16},
    "bools and none": {"t": True, "f": False, "n": None},
    "bool is not int": {"one": 1, "true": True, "zero": 0, "false": False},
    "text like json": {"s": '{"a": 1}', "n": "null", "d": "2026-01-01T00:00:00+00:00"},
    "text like a time": {
        "second": "2026-01-01T00:00:00Z",
        "fraction": "2026-01-01T00:00:00.500Z",
        "zone": "2026-01-01T00:00:00+02:00",
        "day": "2026-01-01",
        "hour": "12:00",
        "length": "PT1H",
    },
    "text like a number": {"e": "1e5", "nought": "007", "one": "1.0", "hex": "0x10", "nan": "NaN"},
    "text like a type": {"t": "true", "n": "None", "u": "00000000-0000-4000-8000-000000000000"},
    "text like bytes": {"hex": "5f" * 12, "base64": "aGVsbG8=", "escapes": "\\x00"},
    "long text": {"s": "memory " * 10_000},
    "many keys": {f"key {i}": i for i in range(300)},
    "reserved names": {"id": 1, "_id": 2, "user_id": 3, "version": 4, "seq": 5, "memory": 6},
}
"""JSON objects that are read as they were written."""
