"""Text to terms: what two texts have to share so that one finds the other.

A term is a word in lower case without accents, cut to its stem. Scripts that write no blanks
between words (Han, Kana, Hangul with its particles, Thai, Lao, Khmer, Burmese) become overlapping
pairs of characters, and single characters beside them, for a query of one character.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple, Protocol

from buddy.memory.errors import ConfigError
from buddy.memory.search.stop_words import STOP_WORDS

_MAX_WORD = 64  # characters; what is longer is no word, and slow to stem
_MAX_KNOWN = 200_000  # words; about 30 MB

# Accents and vowel signs that are characters of their own. "\w" leaves them out.
_SIGNS = (
    "\u0300-\u036f"
    "\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed"  # Hebrew, Arabic
    "\u0900-\u0963\u0966-\u0dff"  # scripts of India and Sri Lanka
    "\u0e31-\u0e3a\u0e47-\u0e4e\u0eb1-\u0ebc\u0ec8-\u0ece"  # Thai, Lao
    "\u102b-\u103e\u1056-\u109d\u17b4-\u17d3\u17dd"  # Burmese, Khmer
)
_WORD = re.compile(rf"(?:[^\W_]|[{_SIGNS}])+(?:['\u2019](?:[^\W_]|[{_SIGNS}])+)*")

_UNSPACED = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f"  # Burmese
    "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af"  # Hangul
    "\u1780-\u17ff"  # Khmer
    "\u3005\u3007\u3040-\u30ff\u31f0-\u31ff"  # Kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"  # Han
)
_PIECES = re.compile(rf"[{_UNSPACED}]+|[^{_UNSPACED}]+")
_IS_UNSPACED = re.compile(rf"[{_UNSPACED}]")
_ACCENTS = re.compile("[\u0300-\u036f]+")
_APOSTROPHES = re.compile("['\u2019]")


class Stemmer(Protocol):
    """What cuts a word to its stem, as the classes of snowballstemmer."""

    def stemWord(self, word: str, /) -> str: ...


class Terms(NamedTuple):
    """The terms of a text with how often each occurs, and how many words count for its length."""

    counts: dict[str, int]
    length: int


class Query(NamedTuple):
    """The terms of a query, in code-point order, the words of it that each stands for, and all
    words in their order."""

    terms: tuple[str, ...]
    words: dict[str, tuple[str, ...]]
    order: tuple[str, ...] = ()


class Analyzer:
    """Makes terms of texts in one language; ``analyzer`` returns the shared one."""

    def __init__(self, language: str) -> None:
        self.language = language
        stop_words = STOP_WORDS.get(language, frozenset())
        self._known = _KnownWords(_stemmer(language), stop_words, language == "english")

    def terms(self, texts: Iterable[str]) -> Terms:
        """Return the terms of a row's texts. Stop words are among them and count for no length."""
        known, terms, singles = self._known, list[str](), list[str]()
        for text in texts:
            if text.isascii():
                terms += map(known.__getitem__, _WORD.findall(text.lower()))
            else:
                self._add_terms(text, terms, singles)
        counts: dict[str, int] = Counter(terms)
        length = len(terms) - sum([counts[term] for term in known.stop_terms & counts.keys()])
        for single in singles:
            counts[single] = counts.get(single, 0) + 1
        return Terms(counts, length)

    def _add_terms(self, text: str, terms: list[str], singles: list[str]) -> None:
        for word in _words(text):
            if _IS_UNSPACED.search(word):
                pairs, characters = _grams(word)
                terms += pairs
                singles += characters
            else:
                terms.append(self._known[word])

    def query(self, text: str) -> Query:
        """Return the terms of a query: without stop words, unless it is made of nothing else."""
        stop_terms, found = self._known.stop_terms, dict[str, dict[str, None]]()
        for word in _words(text):
            for term in self._query_terms(word):
                found.setdefault(term, {})[_APOSTROPHES.split(word)[0]] = None
        telling = found.keys() - stop_terms or found.keys()
        words = {term: tuple(found[term]) for term in found if term in telling}
        order = dict.fromkeys(word for several in words.values() for word in several)
        return Query(tuple(sorted(telling)), words, tuple(order))

    def _query_terms(self, word: str) -> list[str]:
        if not _IS_UNSPACED.search(word):
            return [self._known[word]]
        pairs, characters = _grams(word)
        return pairs or characters


@cache
def analyzer(language: str = "english") -> Analyzer:
    """Return the analyzer of a language: the name of a Snowball stemmer ("english", "german", …),
    or "none" for words as they are.

    Raises ConfigError for another one, naming those that exist.
    """
    return Analyzer(language)


class _KnownWords(dict[str, str]):
    """The term of each word that was met: a vocabulary is small beside the texts made of it."""

    def __init__(
        self, stemmer: Stemmer | None, stop_words: Iterable[str], is_english: bool
    ) -> None:
        self._stemmer, self._is_english = stemmer, is_english
        # A mark that is in no word keeps them apart from other words' stems ("does", "doe").
        self._stop_words = {word: f"-{word}" for word in stop_words}
        self.stop_terms = frozenset(self._stop_words.values())

    def __missing__(self, word: str) -> str:
        # "Ann's", "I'm", "don't": what stands before the apostrophe is the word.
        plain = _APOSTROPHES.split(word, maxsplit=1)[0][:_MAX_WORD]
        term = self._stop_words.get(plain) or self._stem(plain)
        if len(self) >= _MAX_KNOWN:
            self.clear()
        self[word] = term
        return term

    def _stem(self, word: str) -> str:
        if self._stemmer and len(word) > 2:
            word = self._stemmer.stemWord(word)
            if self._is_english and len(word) > 4 and word.endswith("i"):
                word = word[:-1]  # "allergies" and "allergic": Snowball leaves one an i.
        return word if word.isascii() else _ACCENTS.sub("", unicodedata.normalize("NFD", word))


def _words(text: str) -> list[str]:
    """Return the words of a text in lower case, the parts of mixed scripts one by one."""
    words = []
    for word in _WORD.findall(unicodedata.normalize("NFKC", text).casefold()):
        words += [word] if word.isascii() else _PIECES.findall(word)
    return words


def _grams(run: str) -> tuple[list[str], list[str]]:
    """Return the overlapping pairs of a run of characters, and the characters."""
    return [run[i : i + 2] for i in range(len(run) - 1)], [*run]


def _stemmer(language: str) -> Stemmer | None:
    if language == "none":
        return None
    # All its languages are imported at once, which takes 30 ms: only who searches waits for them.
    import snowballstemmer  # type: ignore[import-untyped]

    known = [name for name in snowballstemmer.algorithms() if name != "porter"]
    if language not in known:
        languages = ", ".join(sorted([*known, "none"]))
        raise ConfigError(f"language must be one of {languages}, not {language!r:.80}")
    stemmer: Stemmer = snowballstemmer.stemmer(language)
    return stemmer
