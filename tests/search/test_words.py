"""Text to terms: which words find which."""

from __future__ import annotations

import pytest

from buddy.memory.errors import ConfigError
from buddy.memory.search.words import analyzer

FOUND = {
    "a plural": ("english", "cat", "two cats"),
    "a form of a verb": ("english", "drives", "she was driving"),
    "a possessive": ("english", "ann", "Ann's car"),
    "a typographic apostrophe": ("english", "ann", "Ann\u2019s car"),
    "an accent": ("english", "cafe", "Café au lait"),
    "a decomposed accent": ("english", "café", "cafe\u0301"),
    "German inflection": ("german", "Häuser", "ein Haus"),
    "Cyrillic case": ("russian", "ЧАЙ", "чай"),
    "a word within Chinese": ("english", "寿司", "我喜欢寿司。"),
    "one character": ("english", "猫", "黒猫がいる"),
    "Thai": ("english", "แมว", "ฉันมีแมวดำ"),
    "a Korean particle": ("english", "고양이", "고양이가 있다"),
    "Devanagari": ("english", "हिन्दी", "हिन्दी बोलती"),
    "full width": ("english", "tea", "\uff34\uff25\uff21"),
    "letters beside Chinese": ("english", "python", "用Python写"),
}


@pytest.mark.parametrize(("language", "query", "text"), FOUND.values(), ids=FOUND)
def test_a_query_shares_a_term_with_a_text(language: str, query: str, text: str) -> None:
    """Case, form, accents and script of a word make no difference."""
    words = analyzer(language)
    assert set(words.query(query).terms) & words.terms([text]).counts.keys()


def test_stop_words_count_where_there_is_nothing_else() -> None:
    """Stop words are left out of a query, unless it is made of them alone."""
    words = analyzer()
    assert words.query("Where is my car?").terms == ("car",)
    assert len(words.query("who are you").terms) == 3
    assert words.query("?!").terms == words.query("").terms == ()
    assert words.terms(["where is my car"]).length == 1


def test_a_stop_word_is_no_stem_of_another_word() -> None:
    """ "does" is a stop word and does not find a "doe"."""
    words = analyzer()
    assert not set(words.query("does").terms) & words.terms(["a doe"]).counts.keys()


def test_a_term_knows_its_words() -> None:
    """The words of a query come back as they were written, in their order."""
    query = analyzer().query("Cats and CAR, cats")
    assert query.order == ("cats", "car")
    assert query.words["cat"] == ("cats",)


def test_a_language_that_does_not_exist() -> None:
    """An unknown language is a ConfigError that names those there are."""
    with pytest.raises(ConfigError, match=r"english.*none.*not 'klingon'"):
        analyzer("klingon")
    assert analyzer("none").query("cats").terms == ("cats",)
