"""Words and sentences of any language, as plain rules: no model, no dictionary to install."""

from __future__ import annotations

import re
from unicodedata import category, normalize

_ASCII_WORD = re.compile(r"[a-z0-9_]+")
# Han and kana are written without spaces between words.
_UNSPACED = re.compile(
    "[\u3005-\u3007\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
)
# After . ! ? or an ellipsis (and a closing quote or bracket) with a blank; after the ideographic
# full stop and its fullwidth kin at once; at the end of a line.
_CLOSE = "[\"'\u201d\u2019)\\]]"
_FULL_STOP = "\u3002\uff01\uff1f"
_SENTENCE_END = re.compile(
    rf"(?<=[.!?\u2026])\s+|(?<=[.!?\u2026]{_CLOSE})\s+"
    rf"|(?<=[{_FULL_STOP}])(?=[^\s{_FULL_STOP}])|[\r\n]+"
)

_STOP_WORDS = """
a about above after again ago all also always am amazing an and any anything are aren around as at
away awesome back be because been before being both but by bye can cannot cool could couldn d
definitely did didn do does doesn doing don done down each even ever every everything few for from
get gets getting glad go goes going gonna good got gotta great had hadn haha has hasn have haven
having he hear hello her here hers hey hi him his hope how i if in into is isn it its just keep
kind know last let like ll lol look lot lots love m make makes many maybe me mean more most much
must my myself need never new nice no not nothing now of off oh ok okay on one only or other our
out over own please pretty re really right s said same say see seen she should shouldn so some
someone something soon sounds still stuff such super sure t take than thank thanks that the their
them then there these they thing things think this those though thought through time to too
totally try two up us use ve very want wanted was wasn way we well went were weren what when where
which while who whole why will with won wonderful would wouldn wow yeah yep yes yet you your yours
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""English words that tell nothing about a topic. Other languages: see ``summary``."""


def words(text: str, unspaced: int = 1) -> list[str]:
    """Return the words of ``text`` in order, folded so that case and Unicode form do not matter.

    A word is a run of letters, digits, marks and underscores; in Han and kana, which have no
    spaces, every ``unspaced`` neighbouring characters are one.
    """
    text = normalize("NFKC", normalize("NFKC", text).casefold())
    if text.isascii():
        return _ASCII_WORD.findall(text)
    text = "".join(c if c.isalnum() or c == "_" or category(c)[0] == "M" else " " for c in text)
    return _UNSPACED.sub(lambda run: f" {_spread(run[0], unspaced)} ", text).split()


def _spread(run: str, size: int) -> str:
    if len(run) <= size:
        return run
    return " ".join(run[i : i + size] for i in range(len(run) - size + 1))


def content_words(text: str) -> list[str]:
    """Return the words that may tell what ``text`` is about, in order.

    No stop words, no bare numbers, and none shorter than three characters, Han and kana excepted.
    """
    return [word for word in words(text, 2) if _tells(word)]


def _tells(word: str) -> bool:
    if word in STOP_WORDS or word.isdecimal():
        return False
    return len(word) > 2 or (len(word) > 1 and bool(_UNSPACED.fullmatch(word)))


def sentences(text: str) -> list[str]:
    """Return the sentences and lines of ``text``, each with its punctuation and without blanks."""
    return [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]
