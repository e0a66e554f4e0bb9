"""Memory.search_user_memories: last_n, first_n, and the searches."""

from __future__ import annotations

import pytest

from buddy.memory.errors import ConfigError
from buddy.memory.v2.memory import Memory, UserMemory

STORY = [
    "Ada likes green tea",
    "Ada drinks tea with lemon every morning",
    "She moved to Lisbon in May",
    "The cat is called Lemon",
]


@pytest.fixture
def memory(db):
    memory = Memory(db)
    for text in STORY:
        memory.add_user_memory(UserMemory(text), "ada")
    memory.add_user_memory(UserMemory("Bob likes tea with lemon", ["tea"]), "bob")
    return memory


def found(call, memory, *args, **kwargs):
    return [m.memory for m in call(memory, "search_user_memories", *args, user_id="ada", **kwargs)]


def test_last_n_and_first_n(memory, call):
    """last_n gives the newest, newest first; first_n the oldest, oldest first."""
    assert found(call, memory, limit=2, retrieval_method="last_n") == [STORY[3], STORY[2]]
    assert found(call, memory, limit=2, retrieval_method="first_n") == STORY[:2]
    assert found(call, memory, limit=1) == [STORY[3]]
    assert found(call, memory, limit=0) == []
    assert len(found(call, memory)) == 4


def test_keyword_ranks_by_matching_words_then_newest(memory, call):
    """What holds more of the query comes first, and what holds none of it not at all."""
    expected = [STORY[1], STORY[0], STORY[3]]
    assert found(call, memory, "TEA, lemon?")[:1] == expected[:1]
    assert sorted(found(call, memory, "TEA, lemon?")) == sorted(expected)
    assert found(call, memory, "tea lemon", retrieval_method="keyword", limit=1) == expected[:1]
    assert found(call, memory, "tea lemon", limit=0) == []


def test_a_word_said_twice_counts_once(memory, call):
    """The words of a query count once each, in the query and in the memory."""
    memory.add_user_memory(UserMemory("lemon lemon lemon"), "ada")
    assert found(call, memory, "lemon lemon tea", limit=1) == [STORY[1]]


def test_topics_are_searched_too(memory, call):
    """A word of the topics counts like a word of the text."""
    memory.add_user_memory(UserMemory("plays the cello", ["music"]), "ada")
    assert found(call, memory, "music") == ["plays the cello"]


def test_whole_words_match(memory, call):
    """A part of a word is no match, and a query without a word matches nothing."""
    assert found(call, memory, "lem") == []
    assert found(call, memory, "?!") == []
    assert found(call, memory, "") == []


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("wohnt in der STRASSE", "straße"),
        ("caf\u00e9 au lait", "cafe\u0301"),
        ("\u043b\u044e\u0431\u0438\u0442 \u0447\u0430\u0439", "\u0427\u0410\u0419"),
        ("\u6211\u559c\u6b22\u5bff\u53f8\u3002", "\u5bff\u53f8"),
        (
            "\u0939\u093f\u0928\u094d\u0926\u0940 \u092c\u094b\u0932\u0924\u0940",
            "\u0939\u093f\u0928\u094d\u0926\u0940",
        ),
        ("likes \uff34\uff25\uff21", "tea"),
    ],
    ids=["casefold", "decomposed", "Cyrillic", "Han", "Devanagari", "fullwidth"],
)
def test_words_of_any_language(call, text, query):
    """Case, Unicode form and script make no difference."""
    memory = Memory()
    memory.add_user_memory(UserMemory("something else"), "ada")
    memory.add_user_memory(UserMemory(text), "ada")
    assert found(call, memory, query) == [text]


@pytest.mark.parametrize("method", ["agentic", "LAST_N", 3])
def test_an_unknown_method_is_an_error(memory, call, method):
    """A retrieval method that does not exist is refused with the list of those that do."""
    with pytest.raises(ConfigError, match="last_n, first_n, keyword, semantic, hybrid"):
        found(call, memory, "tea", retrieval_method=method)


def test_wrong_arguments_are_errors(memory, call):
    """A negative limit, and keyword without a query, are refused."""
    for query in (None, "tea"):
        with pytest.raises(ConfigError, match="limit"):
            found(call, memory, query, limit=-1)
    with pytest.raises(ConfigError, match="query"):
        found(call, memory, retrieval_method="keyword")
