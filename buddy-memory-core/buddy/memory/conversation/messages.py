"""Messages: what a conversation is made of."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from buddy.memory.conversation.type_guards import is_iterable, is_mapping
from buddy.memory.errors import ConfigError

Message = dict[str, str]
"""``{"role": …, "content": …}`` and, where known, the speaker's ``"name"``."""

_UNSPOKEN = ("system", "developer", "tool", "function")


def as_messages(given: Any) -> list[Message]:
    """Return copies of the messages in ``given``, holding role, content and name only.

    ``given`` is a text (one user message), a message, or an iterable of both. A message is a
    mapping or an object with ``role`` and ``content``, both strings. Raises TypeError otherwise.
    """
    if isinstance(given, str) or is_mapping(given) or not is_iterable(given):
        return [_message(given, "the message")]
    return [_message(item, f"messages[{index}]") for index, item in enumerate(given)]


def one_of(message: Any, messages: Any) -> list[Message]:
    """Return the messages in the one of both that is not None. Raises ConfigError for other than
    one."""
    if (message is None) == (messages is None):
        raise ConfigError("give either message or messages; name the user with user_id=…")
    return as_messages(messages if message is None else message)


def _message(item: Any, where: str) -> Message:
    if isinstance(item, str):
        return {"role": "user", "content": item}
    message: Message = {}
    for key in ("role", "content", "name"):
        value = _part(item, key)
        if isinstance(value, str):
            message[key] = str.__str__(value)
        elif key != "name" or value is not None:
            raise TypeError(
                f"{where} must be a text or hold the strings 'role' and 'content'; "
                f"its {key} is {type(value).__name__}"
            )
    return message


def _part(item: Any, key: str) -> Any:
    return item.get(key) if is_mapping(item) else getattr(item, key, None)


def spoken(messages: Iterable[Message]) -> list[Message]:
    """Return the messages that somebody said: no instructions, no tools, nothing blank."""
    return [m for m in messages if m["role"] not in _UNSPOKEN and m["content"].strip()]


def as_data(value: Any) -> str:
    """Return ``value`` as JSON text for a prompt, where it cannot end the block it stands in.

    Angle brackets are escaped, so no remembered text can forge the tags around it.
    """
    text = json.dumps(value, ensure_ascii=False, indent=1)
    return text.replace("<", "\\u003c").replace(">", "\\u003e")
