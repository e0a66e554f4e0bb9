"""Models: what they may return."""

from __future__ import annotations

from typing import Any

import pytest

from buddy.agent import Agent
from buddy.memory.v2.memory import Memory


def pieces(messages: Any) -> Any:
    yield from ("It ", None, "rains.")


async def pieces_awaited(messages: Any) -> Any:
    for piece in ("It ", None, "rains."):
        yield piece


class Client:
    """An object that streams when it is called."""

    async def __call__(self, messages: Any) -> Any:
        for piece in ("It ", "rains."):
            yield piece


async def whole(messages: Any) -> str:
    return "It rains."


STREAMS = {
    "generator": pieces,
    "asynchronous generator": pieces_awaited,
    "lambda": lambda messages: pieces_awaited(messages),
    "iterator": lambda messages: iter(["It ", "rains."]),
    "object": Client(),
    "coroutine": whole,
}


@pytest.mark.parametrize("kind", STREAMS)
def test_a_model_may_stream(kind: str, db: Any, call: Any) -> None:
    """The pieces of an answer, from synchronous and asynchronous models, are one text."""
    agent = Agent(STREAMS[kind], Memory(db))
    assert call(agent, "run", "How is the weather?").content == "It rains."


WRONG = {
    "nothing": lambda messages: None,
    "a list": lambda messages: ["It rains."],
    "pieces that are numbers": lambda messages: iter([3]),
    "pieces that are bytes": lambda messages: iter(["a", b"b"]),
}


@pytest.mark.parametrize("kind", WRONG)
def test_an_answer_is_a_text_or_pieces_of_one(kind: str, db: Any, call: Any) -> None:
    """Anything else is a TypeError, and the run leaves no trace."""
    agent = Agent(WRONG[kind], Memory(db))
    with pytest.raises(TypeError, match=r"must return a str|must be texts"):
        call(agent, "run", "hello", session_id="s")
    assert agent.memory.to_dict()["sessions"] == []


def test_a_stream_inside_a_loop_needs_the_twin(db: Any) -> None:
    """A sync method with an asynchronous stream inside a running loop says what to await."""
    import asyncio

    async def main() -> None:
        Agent(pieces_awaited, Memory(db)).run("hello")

    with pytest.raises(TypeError, match="arun"):
        asyncio.run(main())
