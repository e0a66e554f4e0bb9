"""Messages are read in the forms in which the common SDKs and frameworks have them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel

from buddy.memory.conversation.messages import as_messages
from buddy.memory.v2.memory import Memory

CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}

OPENAI = [
    {"role": "developer", "content": "Be nice."},
    {"role": "user", "content": "How is the weather?"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "assistant", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "rain"},
    {"role": "function", "name": "weather", "content": "rain"},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}},
            {"type": "text", "text": "I took it in Rome."},
        ],
    },
    {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
]

RESPONSES = [
    {"role": "user", "content": [{"type": "input_text", "text": "How is the weather?"}]},
    {"type": "reasoning", "id": "r1", "summary": []},
    {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "rain"},
    {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "It rains.", "annotations": []}],
    },
]

ANTHROPIC = [
    {"role": "user", "content": [{"type": "text", "text": "How is the weather?"}]},
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "t1", "name": "weather", "input": {}},
        ],
    },
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "rain"}]},
    {
        "role": "assistant",
        "content": [{"type": "text", "text": "It rains, "}, {"type": "text", "text": "they say."}],
    },
]

GEMINI = [
    SimpleNamespace(role="user", parts=[SimpleNamespace(text="How is the weather?")]),
    SimpleNamespace(
        role="model",
        parts=[
            SimpleNamespace(text="I think", thought=True),
            SimpleNamespace(text=None, function_call=object()),
            SimpleNamespace(text="It rains."),
        ],
    ),
]

LANGCHAIN = [
    SimpleNamespace(type="system", content="Be nice."),
    SimpleNamespace(type="human", content="How is the weather?"),
    SimpleNamespace(type="ai", content="", tool_calls=[{}]),
    SimpleNamespace(type="tool", content="rain", name="weather"),
    SimpleNamespace(type="ai", content=[{"type": "text", "text": "It rains."}], name=None),
]

ASKED = ("user", "How is the weather?")
FORMS: dict[str, tuple[list[Any], list[tuple[str, str]]]] = {
    "openai": (
        OPENAI,
        [("developer", "Be nice."), ASKED, ("user", "What is this?\nI took it in Rome.")],
    ),
    "openai responses": (RESPONSES, [ASKED, ("assistant", "It rains.")]),
    "anthropic": (
        ANTHROPIC,
        [ASKED, ("assistant", "I look."), ("assistant", "It rains, they say.")],
    ),
    "gemini": (GEMINI, [ASKED, ("assistant", "It rains.")]),
    "langchain": (
        LANGCHAIN,
        [("system", "Be nice."), ASKED, ("assistant", ""), ("assistant", "It rains.")],
    ),
}


class Said(BaseModel):
    """A message as a pydantic model."""

    role: str
    content: str | list[Any] | None = None


@pytest.mark.parametrize("form", FORMS)
def test_common_forms(form: str) -> None:
    """Texts are joined; what a tool said, or what holds no text, is left out."""
    given, expected = FORMS[form]
    assert [(m["role"], m["content"]) for m in as_messages(given)] == expected


@pytest.mark.parametrize("form", ["openai", "anthropic"])
def test_objects_are_read_as_mappings_are(form: str) -> None:
    """Pydantic models and objects with role and content are messages, alone and in a list."""
    given, expected = FORMS[form]
    for make in (Said, SimpleNamespace):
        objects = [make(role=m["role"], content=m.get("content")) for m in given]
        assert [(m["role"], m["content"]) for m in as_messages(objects)] == expected
        read = [(m["role"], m["content"]) for one in objects for m in as_messages(one)]
        assert read == expected


@pytest.mark.parametrize("form", FORMS)
def test_memories_and_summaries_of_common_forms(form: str, db: Any, call: Any) -> None:
    """Memories and a summary are made of what was said, and nothing raises."""
    memory = Memory(db)
    made = call(memory, "create_user_memories", messages=FORMS[form][0], user_id="ada")
    assert made[0].memory == "How is the weather?"
    memory.add_messages("s", FORMS[form][0], "ada")
    summary = call(memory, "create_session_summary", "s", "ada").summary
    assert "weather" in summary
    assert "rain\n" not in summary
    assert "nice" not in summary


def test_a_name_that_is_no_text_is_passed_over() -> None:
    """Only a name that is a text is kept."""
    assert as_messages({"role": "user", "content": "a", "name": 3}) == [
        {"role": "user", "content": "a"}
    ]
    assert as_messages({"role": "user", "content": "a", "name": "Ann"})[0]["name"] == "Ann"
