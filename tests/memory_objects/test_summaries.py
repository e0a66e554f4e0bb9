"""Memory: summaries of sessions, and the rule by which they are extracted."""

from __future__ import annotations

import asyncio
import json

import pytest

from buddy.memory.conversation.summary import MAX_SENTENCE, SENTENCES, extract
from buddy.memory.conversation.text import sentences
from buddy.memory.v2.db.schema import SummaryRow
from buddy.memory.v2.memory import Memory, ModelAnswerError, RunResponse, SessionSummary


def user(content, **more):
    return {"role": "user", "content": content, **more}


GARDEN = [
    user("Hi! How are you?", name="Ann"),
    user("I planted tomatoes in the garden. The weather is fine.", name="Ann"),
    user("Your garden needs water, Ann. Do the tomatoes grow?", name="Bob"),
    user("The tomatoes in the garden grow. I water them at night.", name="Ann"),
    user("See you tomorrow.", name="Bob"),
]


# --- stored in the database


def test_a_summary_is_stored_with_its_owner(db, call):
    """The summary is a row of the database: its id is the session, its owner the user."""
    made = call(Memory(db), "create_session_summary", "s1", "ada", messages=GARDEN)
    row = db.read_summary("s1")
    assert row.summary == {"summary": made.summary, "topics": made.topics}
    assert (row.user_id, made.session_id, made.user_id) == ("ada", "s1", "ada")
    assert call(Memory(db), "get_session_summary", "s1", user_id="ada") == made


def test_summaries_are_listed_and_deleted_for_their_owner(db, call):
    """A user sees and deletes the own summaries only, newest session first."""
    memory = Memory(db)
    for session, owner in (("s1", "ada"), ("s2", "ada"), ("s3", "bob")):
        memory.create_session_summary(session, owner, messages=GARDEN)
    listed = call(memory, "get_session_summaries", "ada")
    assert [s.session_id for s in listed] == ["s2", "s1"]
    (oldest,) = call(memory, "get_session_summaries", "ada", limit=1, sort="asc")
    assert oldest.session_id == "s1"
    assert call(memory, "get_session_summary", "s3", user_id="ada") is None
    assert call(memory, "delete_session_summary", "s3", user_id="ada") is False
    assert call(memory, "delete_session_summary", "s1", user_id="ada") is True
    assert db.count_summaries() == 2


def test_two_users_may_have_sessions_of_one_id(db, call):
    """Each user's session has its own messages and its own summary."""
    memory = Memory(db)
    for name, words in (("ada", "Cats sleep."), ("bob", "Dogs bark.")):
        memory.add_messages("monday", words, name)
        assert call(memory, "create_session_summary", "monday", name).summary == words
    memory.add_messages("monday", "Birds sing.", "bob")
    call(memory, "create_session_summary", "monday", "bob")
    assert call(memory, "get_session_summary", "monday", user_id="ada").summary == "Cats sleep."
    assert (
        call(memory, "get_session_summary", "monday", user_id="bob").summary
        == "Dogs bark.\nBirds sing."
    )
    assert call(memory, "delete_session_summary", "monday", user_id="ada") is True
    assert db.count_summaries() == 1


def test_given_messages_replace_the_summary(db, call):
    """A summary of given messages covers exactly these."""
    memory = Memory(db)
    memory.create_session_summary("s1", "ada", messages=[user("Cats sleep.")])
    made = call(memory, "create_session_summary", "s1", "ada", messages=[user("Dogs bark.")])
    assert made.summary == "Dogs bark."


def test_seen_messages_go_on_from_the_stored_summary(db, call):
    """A new process continues a session's summary with what it has seen itself, once each."""
    first, second = Memory(db), Memory(db)
    first.add_messages("s1", "Cats sleep.", "ada")
    call(first, "create_session_summary", "s1", "ada")
    second.add_messages("s1", "Dogs bark.", "ada")
    assert call(second, "create_session_summary", "s1", "ada").summary == "Cats sleep.\nDogs bark."
    second.add_messages("s1", "Birds sing.", "ada")
    again = call(second, "create_session_summary", "s1", "ada")
    assert again.summary == "Cats sleep.\nDogs bark.\nBirds sing."
    assert call(second, "create_session_summary", "s1", "ada") == again
    assert db.read_summary("s1").version == 3


def test_nothing_said_writes_nothing(db, call):
    """Without messages the stored summary, or None, comes back and nothing is written."""
    memory = Memory(db)
    assert call(memory, "create_session_summary", "s1", "ada") is None
    assert call(memory, "create_session_summary", "s1", "ada", messages=[]) is None
    assert call(memory, "create_session_summary", "s1", "ada", messages="  ") is None
    assert db.count_summaries() == 0


def test_a_failed_summary_is_made_up_for(db, call, monkeypatch):
    """Messages whose summary could not be stored are part of the next one."""
    memory = Memory(db)
    memory.add_messages("s1", "Cats sleep.", "ada")

    def refuse(*_, **__):
        raise OSError("down")

    with monkeypatch.context() as patched:
        patched.setattr(db, "upsert_summary", refuse)
        with pytest.raises(OSError, match="down"):
            call(memory, "create_session_summary", "s1", "ada")
    assert call(memory, "create_session_summary", "s1", "ada").summary == "Cats sleep."


def test_two_writers_of_one_session_lose_nothing(db, call, monkeypatch):
    """A summary that another process stored meanwhile is gone on from, not overwritten."""
    memory, other = Memory(db), Memory(db)
    memory.add_messages("s1", "Cats sleep.", "ada")
    other.add_messages("s1", "Dogs bark.", "ada")
    upsert = db.upsert_summary

    def other_first(row, **condition):
        monkeypatch.setattr(db, "upsert_summary", upsert)
        other.create_session_summary("s1", "ada")
        return upsert(row, **condition)

    monkeypatch.setattr(db, "upsert_summary", other_first)
    made = call(memory, "create_session_summary", "s1", "ada")
    assert made.summary == "Dogs bark.\nCats sleep."


def test_summaries_side_by_side_cover_each_message_once(db):
    """Two summaries of one session at once share the messages out."""

    async def main():
        await asyncio.gather(*(memory.acreate_session_summary("s1", "ada") for _ in range(4)))

    memory = Memory(db)
    memory.add_messages("s1", "Cats sleep.", "ada")
    asyncio.run(main())
    assert db.read_summary("s1").summary["summary"] == "Cats sleep."
    assert db.read_summary("s1").version == 1


def test_rows_of_other_software_load(db, call):
    """A summary with more, fewer or odd keys loads."""
    db.upsert_summary(SummaryRow({"summary": "a", "mood": 1}, "s1", "ada"))
    db.upsert_summary(SummaryRow({"text": "b"}, "s2", "ada"))
    second, first = call(Memory(db), "get_session_summaries", "ada")
    assert (first.summary, first.topics) == ("a", None)
    assert second.summary == '{"text": "b"}'
    assert SessionSummary.from_dict(first.to_dict()) == first


# --- what was seen


def test_runs_are_kept_apart_by_user(db):
    """The same session id of two users is two conversations."""
    memory = Memory(db)
    memory.add_messages("s", "mine", "ada")
    memory.add_messages("s", "yours", "bob")
    assert memory.get_messages_from_last_n_runs("s", user_id="ada") == [user("mine")]
    assert memory.get_messages_from_last_n_runs("s") == []


def test_runs_by_id_and_number(db):
    """A run with a known id takes its old place; the last n runs, and roles, can be chosen."""
    memory = Memory(db)
    for n in range(3):
        said = [user(f"q{n}"), {"role": "assistant", "content": f"a{n}"}]
        memory.add_run("s", RunResponse(f"a{n}", said, run_id=f"r{n}", user_id="ada"))
    memory.add_run("s", RunResponse("b", [user("q!")], run_id="r1", user_id="ada"))

    def seen(**chosen):
        messages = memory.get_messages_from_last_n_runs("s", user_id="ada", **chosen)
        return [m["content"] for m in messages]

    assert seen() == ["q0", "a0", "q!", "q2", "a2"]
    assert seen(last_n=2, skip_role="assistant") == ["q!", "q2"]
    assert seen(last_n=0) == []
    assert seen(last_n=9) == seen()
    memory.forget_run("s", "r0", "ada")
    assert [run.run_id for run in memory.get_runs("s", "ada")] == ["r1", "r2"]
    memory.forget_session("s", "ada")
    assert memory.get_runs("s", "ada") == []
    with pytest.raises(TypeError, match="RunResponse"):
        memory.add_run("s", {"messages": []})


# --- with a model


def test_a_model_summarises_and_is_told_what_was_before(db, call, scripted):
    """The model's JSON is the summary; the next time it is given the stored one as data."""
    model = scripted(
        json.dumps({"summary": "Ann gardens.", "topics": ["garden"]}),
        json.dumps({"summary": "Ann gardens and cooks."}),
    )
    memory = Memory(db, model)
    memory.add_messages("s1", GARDEN, "ada")
    made = call(memory, "create_session_summary", "s1", "ada")
    assert (made.summary, made.topics) == ("Ann gardens.", ["garden"])
    memory.add_messages("s1", "I cook soup. </conversation>", "ada")
    made = call(memory, "create_session_summary", "s1", "ada")
    assert (made.summary, made.topics) == ("Ann gardens and cooks.", None)
    question = model.asked[1][1]["content"]
    assert "Ann gardens." in question
    assert "tomatoes" not in question
    assert question.count("</conversation>") == 1


@pytest.mark.parametrize("bad", ["fine", '{"summary": ""}', '{"summary": "a", "topics": "b"}'])
def test_a_bad_summary_is_asked_for_again_once(db, call, scripted, bad):
    """A bad answer is retried once, then raises with nothing stored."""
    good = '{"summary": "fine"}'
    made = call(Memory(db, scripted(bad, good)), "create_session_summary", "s1", messages=GARDEN)
    assert made.summary == "fine"
    with pytest.raises(ModelAnswerError):
        call(Memory(db, scripted(bad, bad)), "create_session_summary", "s2", messages=GARDEN)
    assert db.count_summaries() == 1


# --- the rule


def test_the_best_sentences_in_their_order():
    """Sentences with the words that come back are told, in their order, with who said them."""
    assert extract(GARDEN).summary.splitlines() == [
        "Ann: I planted tomatoes in the garden.",
        "Ann: The weather is fine.",
        "Bob: Your garden needs water, Ann.",
        "Ann: The tomatoes in the garden grow.",
        "Ann: I water them at night.",
    ]


@pytest.mark.parametrize("piece", [" ", "\u3000", ".", "\n", ". ", "a"])
def test_long_runs_of_anything(piece):
    """A text that repeats itself is taken apart in a time that grows with its length alone."""
    assert sentences(f"So it is{piece * 1_000_000}or is it? Yes.")[-1] == "Yes."


def test_topics_are_the_words_of_most_sentences():
    """Topics are the frequent content words without the speakers' names, most frequent first."""
    assert extract(GARDEN).topics == ["tomatoes", "garden", "water", "grow"]


def test_questions_come_last():
    """A question is told only where there are not enough statements."""
    asked = [user("Do cats eat cats? Cats do."), user("Sure.")]
    assert extract(asked).summary.splitlines() == ["Do cats eat cats?", "Cats do.", "Sure."]
    many = [user("Do cats eat cats?"), *[user(f"Cats number {w}.") for w in "abcdef"]]
    assert "?" not in extract(many).summary


def test_the_same_thing_is_not_told_over_and_over():
    """Once told, words weigh less, so another subject gets its turn."""
    cats = [
        user(f"Cats chase mice {when}.") for when in ("early", "late", "daily", "here", "there")
    ]
    rest = [
        user(f"{word} grows slowly outside.") for word in ("Moss", "Grass", "Ivy", "Fern", "Hay")
    ]
    lines = extract([*cats, *rest]).summary.splitlines()
    assert sum("Cats" in line for line in lines) == 3
    assert len(lines) == SENTENCES


def test_an_earlier_topic_weighs_one_more():
    """Going on from a summary, its topics come before new words of equal number."""
    earlier = SessionSummary("Dogs bark. Cats sleep.", ["cats"])
    assert extract([user("Cats eat. Dogs eat.")], earlier).topics[:2] == ["cats", "dogs"]
    assert (
        extract([user("Cats eat. Dogs eat.")], SessionSummary(earlier.summary)).topics[0] == "dogs"
    )


def test_a_long_session_is_kept_short():
    """However much was said, the summary is a few sentences of bounded length."""
    said = [user(f"word{i} " * 200 + ".") for i in range(50)]
    lines = extract(said).summary.splitlines()
    assert len(lines) == SENTENCES
    assert max(map(len, lines)) <= MAX_SENTENCE + 1


def test_the_same_talk_gives_the_same_summary():
    """The rule is deterministic, also for text without any word, or with none at all."""
    assert extract(GARDEN) == extract(GARDEN)
    assert extract([]) == SessionSummary("", [])
    assert extract([user("!!!"), user("\U0001f389")]).summary == "!!!\n\U0001f389"
    assert extract([{"role": "system", "content": "Be nice."}]).summary == ""


def test_other_languages():
    """Scripts without spaces or with their own full stop are split and counted too."""
    han = "\u6211\u559c\u6b22\u5bff\u53f8\u3002\u6211\u4f4f\u5728\u5317\u4eac\u3002"
    han += "\u6211\u5403\u4e86\u5bff\u53f8\uff01"
    made = extract([user(han)])
    assert len(made.summary.splitlines()) == 3
    assert made.topics == ["\u5bff\u53f8"]


def test_function_words_of_any_language_are_no_topics():
    """From six sentences on, a word that stands in most of them tells nothing."""
    told = ["Hund bellt", "Katze", "Hund jagt", "Maus", "Pferd", "Kuh", "Esel"]
    made = extract([user(f"und {word} aber auch.") for word in told])
    assert made.topics == ["hund"]
