"""What search reads of a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from buddy.memory.errors import ConfigError

TextOf = Callable[[dict[str, Any]], list[str]]
"""From a payload to its texts; each has a vector of its own, keyword search takes them together."""


def default_texts(payload: Mapping[str, Any]) -> list[str]:
    """Return the ``memory`` and the ``topics`` of a payload as the memory objects make them; where
    there is no such ``memory``, all its string values, keys in code-point order."""
    memory, topics = payload.get("memory"), payload.get("topics")
    if not isinstance(memory, str):
        return [*_strings(payload)]
    return [memory, *_strings(topics)]


def texts_of(text: TextOf, payload: dict[str, Any]) -> list[str]:
    """Return what a user's ``text`` makes of a payload. Raises ConfigError for no list of str."""
    texts: Any = text(payload)
    if isinstance(texts, (list, tuple)) and all(isinstance(one, str) for one in texts):
        return [*texts]
    raise ConfigError(f"text must return a list of str, not {texts!r:.80}")


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for key in sorted(value) for text in _strings(value[key])]
    if isinstance(value, list):
        return [text for element in value for text in _strings(element)]
    return []
