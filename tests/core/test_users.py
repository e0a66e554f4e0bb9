"""Users as non-null text: one text each, in code-point order, with ranges for prefixes."""

from __future__ import annotations

import pickle
from copy import copy, deepcopy

from hypothesis import example, given
from hypothesis import strategies as st

from buddy.memory.storage.record import EVERYBODY, Scope
from buddy.memory.storage.users import NOBODY, Nobody, decode_user, encode_user, prefix_range

EDGES = "\x01\x02a\ud7ff\ue000\uffff\U00010000\U0010fffe\U0010ffff"
"""Characters at the ends of ranges; U+0000 and surrogates are in no user."""

_characters = st.one_of(
    st.sampled_from(EDGES),
    st.characters(min_codepoint=1, exclude_categories=("Cs",)),
)
texts = st.text(_characters, max_size=4)
users = st.none() | texts


@given(users)
@example("")
@example("\x01")
def test_a_user_comes_back(user: str | None) -> None:
    """decode_user returns what encode_user was given, so that no two users have one text."""
    assert decode_user(encode_user(user)) == user


@given(users, users)
def test_no_two_users_have_one_text(one: str | None, two: str | None) -> None:
    """Texts are equal exactly for equal users."""
    assert (encode_user(one) == encode_user(two)) is (one == two)


@given(texts, texts)
def test_texts_sort_as_users_do(one: str, two: str) -> None:
    """Texts have the order of users by code points, with nobody in front of all."""
    assert (encode_user(one) < encode_user(two)) is (one < two)
    assert encode_user(None) < encode_user(one)


@given(texts, texts)
def test_texts_keep_prefixes(prefix: str, rest: str) -> None:
    """The text of a user begins with that of a prefix, unless the prefix is empty."""
    if prefix:
        assert encode_user(prefix + rest).startswith(encode_user(prefix))


@given(texts, users)
@example("\U0010ffff", "\U0010ffff\U0010ffff")
@example("a\ud7ff", "a\ue000")
@example("a\U0010ffff", "b")
@example("", "")
@example("", None)
@example("\x01", "")
def test_a_prefix_is_a_range(prefix: str, user: str | None) -> None:
    """A user's text is in the range of a prefix exactly when the user begins with it."""
    low, high = prefix_range(prefix)
    text = encode_user(user)
    within = text >= low and (high is None or text < high)
    assert within is (user is not None and user.startswith(prefix))
    assert within is Scope.of_prefix(prefix).covers(user)


@given(texts)
def test_the_ends_of_a_range_can_be_stored(prefix: str) -> None:
    """Both ends are text that every database takes: no surrogate, no U+0000."""
    for end in prefix_range(prefix):
        if end is not None:
            assert "\0" not in end
            assert end.encode().decode() == end


def test_nobody_is_one_object() -> None:
    """NOBODY stays itself through copies, pickles and another call of its class."""
    for nobody in (copy(NOBODY), deepcopy([NOBODY])[0], pickle.loads(pickle.dumps(NOBODY))):  # noqa: S301
        assert nobody is NOBODY
    assert Nobody() is NOBODY
    assert repr(NOBODY) == "NOBODY"


@given(users, users)
def test_scopes_tell_users_apart(one: str | None, two: str | None) -> None:
    """The scope of a user covers that user alone, and everybody's covers all."""
    assert Scope.of_user(one).covers(two) is (one == two)
    assert EVERYBODY.covers(one)
