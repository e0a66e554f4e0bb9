"""Messages: what a conversation is made of, read from the forms that people bring.

This is the only place that reads them. Known are texts; mappings and objects with ``role`` and
``content`` (those of OpenAI and Anthropic, their SDKs' objects, pydantic models); content as a
text, None or a list of parts or blocks; and LangChain's and Gemini's names for the same things.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from buddy.memory.conversation.type_guards import is_iterable, is_list, is_mapping
from buddy.memory.errors import ConfigError

Message = dict[str, str]
"""``{"role": …, "content": …}`` and, where known, the speaker's ``"name"``."""

_TOOLS = ("tool", "function")
_UNSPOKEN = ("system", "developer", *_TOOLS)
_OTHER_ROLES = {"human": "user", "ai": "assistant", "model": "assistant"}
_TEXT_PARTS = (None, "text", "input_text", "output_text")


def as_messages(given: Any) -> list[Message]:
    """Return copies of the messages in ``given``, holding role, content and name only.

    ``given`` is a text (one user message), a message, or an iterable of both. The text parts of a
    message are joined. Left out is what holds no text or was said by a tool: calls of tools and
    their results, images, thoughts. Raises TypeError for what is no message.
    """
    # A pydantic model is iterable, too.
    is_one = isinstance(given, str) or is_mapping(given) or hasattr(given, "role")
    if is_one or not is_iterable(given):
        given = [given]
        is_one = True
    read = (
        _message(item, "the message" if is_one else f"messages[{index}]")
        for index, item in enumerate(given)
    )
    return [message for message in read if message is not None]


def one_of(message: Any, messages: Any) -> list[Message]:
    """Return the messages in the one of both that is not None. Raises ConfigError for other than
    one."""
    if (message is None) == (messages is None):
        raise ConfigError("give either message or messages; name the user with user_id=…")
    return as_messages(messages if message is None else message)


def _message(item: Any, where: str) -> Message | None:
    """Return one message, or None for one that holds nothing that was said."""
    if isinstance(item, str):
        return {"role": "user", "content": item}
    get: Any = item.get if is_mapping(item) else lambda key: getattr(item, key, None)
    role, content, kind = get("role"), get("content"), get("type")
    if content is None:
        content = get("parts")
    if role is None and isinstance(kind, str):
        if content is None:
            return None  # A call, a result or a thought, which OpenAI lists beside the messages.
        role = kind if kind in (*_OTHER_ROLES, *_UNSPOKEN) else None
    if not isinstance(role, str):
        raise TypeError(_refusal(where, "role", role))
    if not (content is None or isinstance(content, str) or is_list(content)):
        raise TypeError(_refusal(where, "content", content))
    text = content if isinstance(content, str) else _joined(content or ())
    if text is None or role in _TOOLS:
        return None
    message = {"role": _OTHER_ROLES.get(role, str.__str__(role)), "content": str.__str__(text)}
    if isinstance(name := get("name"), str):
        message["name"] = str.__str__(name)
    return message


def _joined(parts: Iterable[Any]) -> str | None:
    """Return the texts of a message's parts as one; None where there is none."""
    joined = ""
    for part in parts:
        get: Any = part.get if is_mapping(part) else lambda key, part=part: getattr(part, key, None)
        text = part if isinstance(part, str) else get("text")
        if not isinstance(text, str) or not text:
            continue
        if text is not part and (get("type") not in _TEXT_PARTS or get("thought")):
            continue
        # Cited answers come in pieces of sentences, which bring their own spaces.
        glued = not joined or joined[-1].isspace() or text[0].isspace()
        joined += text if glued else f"\n{text}"
    return joined or None


def _refusal(where: str, key: str, value: object) -> str:
    return (
        f"{where} must be a text or hold 'role', a text, and 'content', a text or a list of parts; "
        f"its {key} is {type(value).__name__}"
    )


def spoken(messages: Iterable[Message]) -> list[Message]:
    """Return the messages that somebody said: no instructions, no tools, nothing blank."""
    return [m for m in messages if m["role"] not in _UNSPOKEN and m["content"].strip()]


def as_data(value: Any) -> str:
    """Return ``value`` as JSON text for a prompt, where it cannot end the block it stands in.

    Angle brackets are escaped, so no remembered text can forge the tags around it.
    """
    text = json.dumps(value, ensure_ascii=False, indent=1)
    return text.replace("<", "\\u003c").replace(">", "\\u003e")
