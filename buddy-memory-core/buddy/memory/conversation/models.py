"""Chat models as plain callables, asked from synchronous and from asynchronous code.

A model takes a list of ``{"role", "content"}`` and returns the answer's text, or an awaitable
of it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

from buddy.memory.conversation.messages import Message
from buddy.memory.conversation.type_guards import is_list, is_mapping

T = TypeVar("T")
Model = Callable[[list[Message]], "str | Awaitable[str]"]
"""Takes a list of ``{"role", "content"}`` and returns the answer's text, or an awaitable of it."""
Ask = Callable[[Model, list[Message]], Awaitable[str]]


class ModelAnswerError(ValueError):
    """A model answered twice in a form that cannot be used; nothing of it was stored.

    ``problem`` says what was wrong with the second answer, ``answer`` is that answer.
    """

    def __init__(self, problem: str, answer: str) -> None:
        self.problem, self.answer = problem, answer
        super().__init__(problem, answer)

    def __str__(self) -> str:
        return f"The model's answer cannot be used, also when asked again: {self.problem}"


def check_model(model: Any) -> Model | None:
    """Return ``model``; raises TypeError when it is neither a callable nor None."""
    if model is None or callable(model):
        return cast("Model | None", model)
    raise TypeError(
        "a model is a callable that takes a list of messages and returns text, "
        f"not {type(model).__name__}"
    )


async def ask_blocking(model: Model, messages: list[Message]) -> str:
    """Ask from synchronous code; never has to wait. An asynchronous model gets a loop of its own.

    Raises TypeError when it is asynchronous and an event loop runs already.
    """
    answer = model(_copies(messages))
    return _text(answer if isinstance(answer, str) else _settle(answer))


async def ask_awaiting(model: Model, messages: list[Message]) -> str:
    """Ask from asynchronous code; a synchronous model runs in a thread, so the loop goes on."""
    import asyncio
    from inspect import iscoroutinefunction

    answer: Any
    if iscoroutinefunction(model) or iscoroutinefunction(cast(Any, model).__call__):
        answer = model(_copies(messages))
    else:
        answer = await asyncio.to_thread(model, _copies(messages))
    return _text(await answer if isinstance(answer, Awaitable) else answer)


def _copies(messages: Iterable[Message]) -> list[Message]:
    # A model may change what it is given; the conversation stays as it was.
    return [dict(message) for message in messages]


def _settle(answer: Any) -> Any:
    if not hasattr(answer, "__await__"):
        return answer
    import asyncio

    async def awaited() -> Any:
        return await answer

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(awaited())
    if hasattr(answer, "close"):
        answer.close()
    raise TypeError(
        "This model is asynchronous and an event loop is running: await the method of the same "
        "name with an a in front (arun, acreate_user_memories, acreate_session_summary, …)."
    )


def _text(answer: Any) -> str:
    if isinstance(answer, str):
        return answer
    raise TypeError(f"a model must return a str, not {type(answer).__name__}")


async def ask_json(ask: Ask, model: Model, messages: list[Message], parse: Callable[[Any], T]) -> T:
    """Return what ``parse`` makes of the model's JSON answer.

    ``parse`` raises ValueError saying what is wrong. The model is then told and asked once more;
    a second bad answer raises ModelAnswerError.
    """
    answer = await ask(model, messages)
    try:
        return parse(_json(answer))
    except ValueError as error:
        problem = str(error)
    correction = f"That answer cannot be used: {problem}. Answer again, with the JSON object only."
    again = [{"role": "assistant", "content": answer}, {"role": "user", "content": correction}]
    answer = await ask(model, messages + again)
    try:
        return parse(_json(answer))
    except ValueError as error:
        raise ModelAnswerError(str(error), answer) from error


def _json(answer: str) -> Any:
    text = answer.strip()
    # Many models wrap JSON in a Markdown fence whatever they are told.
    if text.startswith("```") and text.endswith("```") and "\n" in text:
        text = text[text.index("\n") : -3]
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"it is not JSON ({error})") from None


def check_keys(given: Any, required: set[str], optional: set[str], what: str) -> Mapping[str, Any]:
    """Return ``given``, a JSON object with these keys; raises ValueError otherwise."""
    if not is_mapping(given):
        raise ValueError(f"{what} must be a JSON object")
    keys = set(given)
    if missing := required - keys:
        raise ValueError(f"{what} lacks {', '.join(sorted(missing))}")
    if extra := keys - required - optional:
        raise ValueError(f"{what} has unknown keys: {', '.join(sorted(extra)):.80}")
    return given


def check_text(given: Any, what: str) -> str:
    """Return ``given``, a text that is not blank; raises ValueError otherwise."""
    if isinstance(given, str) and given.strip():
        return given
    raise ValueError(f"{what} must be a text that is not empty")


def check_topics(given: Any, what: str) -> list[str] | None:
    """Return ``given``, a list of texts or None; raises ValueError otherwise."""
    if given is None:
        return None
    if not is_list(given):
        raise ValueError(f"{what} must be a list of texts")
    return [check_text(topic, f"each of {what}") for topic in given]
