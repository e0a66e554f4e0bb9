"""Chat models as plain callables, asked from synchronous and from asynchronous code.

A model takes a list of ``{"role", "content"}`` and returns the answer's text, an awaitable of it,
or the pieces of it as a generator, sync or async.
"""

from __future__ import annotations

import json
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterator,
    Mapping,
)
from typing import Any, TypeVar, cast

from buddy.memory.conversation.messages import Message
from buddy.memory.conversation.type_guards import is_list, is_mapping
from buddy.memory.payload import is_unicode

T = TypeVar("T")
Model = Callable[
    [list[Message]],
    str
    | Awaitable[str]
    | Iterator[str]
    | Iterator[str | None]
    | AsyncIterator[str]
    | AsyncIterator[str | None],
]
"""Takes a list of ``{"role", "content"}`` and returns the answer: its text, an awaitable of it, or
an iterator of its pieces, sync or async. Pieces that are None are passed over."""
Call = Callable[[Callable[[list[Message]], Any], list[Message]], Awaitable[Any]]
"""Calls a function with messages and waits for what it returns."""


class ModelAnswerError(ValueError):
    """A model answered twice in a form that cannot be used; nothing of it was stored.

    ``problem`` says what was wrong with the second answer, ``answer`` is that answer.
    """

    def __init__(self, problem: str, answer: str) -> None:
        self.problem, self.answer = problem, answer
        super().__init__(problem, answer)

    def __str__(self) -> str:
        return (
            f"The model's answer cannot be used, also when asked again: {self.problem}. It was "
            "asked for memories or a summary as JSON; extract='verbatim' asks none for memories, "
            "and on_memory_error='answer' gives an agent's answer all the same."
        )


def check_model(model: Any) -> Model | None:
    """Return ``model``; raises TypeError when it is neither a callable nor None."""
    if model is None or callable(model):
        return cast("Model | None", model)
    raise TypeError(
        "a model is a callable that takes a list of messages and returns text, "
        f"not {type(model).__name__}"
    )


async def call_blocking(function: Callable[[list[Message]], Any], messages: list[Message]) -> Any:
    """Call from synchronous code; never has to wait. What is asynchronous gets its own loop.

    Returns the pieces of an iterator as a tuple. Raises TypeError when the function is asynchronous
    and an event loop runs already.
    """
    # A copy: a model may change what it is given, and the conversation stays as it was.
    answer = function([dict(message) for message in messages])
    if isinstance(answer, str):
        return answer
    if isinstance(answer, Iterator):
        return tuple(cast("Any", answer))
    waited = _waiting(answer)
    return answer if waited is None else _run(waited, answer)


async def call_awaiting(function: Callable[[list[Message]], Any], messages: list[Message]) -> Any:
    """Call from asynchronous code; a synchronous function runs in a thread, so the loop goes on."""
    from inspect import isasyncgenfunction, iscoroutinefunction

    from buddy.memory.storage.threads import in_thread

    def whole(messages: list[Message]) -> Any:
        answer = function(messages)
        return tuple(cast("Any", answer)) if isinstance(answer, Iterator) else answer

    copies = [dict(message) for message in messages]
    called = (function, cast(Any, function).__call__)
    if any(iscoroutinefunction(f) or isasyncgenfunction(f) for f in called):
        answer = function(copies)
    else:
        answer = await in_thread(lambda: whole(copies))
    waited = _waiting(answer)
    return answer if waited is None else await waited


def _waiting(answer: Any) -> Coroutine[Any, Any, Any] | None:
    """Return a coroutine for an answer that has to be waited for, or None."""

    async def awaited() -> Any:
        return await answer

    async def collected() -> Any:
        return tuple([piece async for piece in answer])

    if hasattr(answer, "__await__"):
        return awaited()
    return collected() if hasattr(answer, "__anext__") else None


def _run(waited: Coroutine[Any, Any, Any], answer: Any) -> Any:
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(waited)
    for unused in (waited, answer):
        if hasattr(unused, "close"):
            unused.close()
    raise TypeError(
        "This model is asynchronous and an event loop is running: await the method of the same "
        "name with an a in front (arun, acreate_user_memories, acreate_session_summary, …)."
    )


async def ask(call: Call, model: Model, messages: list[Message]) -> str:
    """Return the model's answer. Raises TypeError when it is neither a text nor pieces of one."""
    answer = await call(model, [*map(_encodable, messages)])
    if isinstance(answer, str):
        return answer
    if not isinstance(answer, tuple):
        raise TypeError(f"a model must return a str, not {type(answer).__name__}")
    pieces = [piece for piece in cast("Any", answer) if piece is not None]
    for piece in pieces:
        if not isinstance(piece, str):
            raise TypeError(f"a model's pieces must be texts, not {type(piece).__name__}")
    return "".join(pieces)


def _encodable(message: Message) -> Message:
    """Return a message that every encoder takes: lone surrogates, which a model once answered and
    which were stored, as escapes."""
    text = message["content"]
    if text.isascii() or is_unicode(text):
        return message
    return {**message, "content": text.encode(errors="backslashreplace").decode()}


async def ask_json(
    call: Call, model: Model, messages: list[Message], parse: Callable[[Any], T]
) -> T:
    """Return what ``parse`` makes of the model's JSON answer.

    ``parse`` raises ValueError saying what is wrong. The model is then told and asked once more;
    a second bad answer raises ModelAnswerError.
    """
    answer = await ask(call, model, messages)
    try:
        return parse(_json(answer))
    except ValueError as error:
        problem = str(error)
    correction = f"That answer cannot be used: {problem}. Answer again, with the JSON object only."
    again = [{"role": "assistant", "content": answer}, {"role": "user", "content": correction}]
    answer = await ask(call, model, messages + again)
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
