"""The user's own model of vectors, wrapped: called with texts, believed after a check."""

from __future__ import annotations

import inspect
from array import array
from collections.abc import Awaitable, Callable, Sequence
from concurrent import futures
from threading import Thread
from typing import Any, cast

from buddy.memory.errors import ConfigError, EmbeddingError
from buddy.memory.search.vectors import MAX_VECTORS, pack, quantize, tag_of

EmbedFunction = Callable[[list[str]], Sequence[Any] | Awaitable[Sequence[Any]]]
"""Takes texts and returns a vector (a sequence of numbers) for each, in their order."""


class Embedder:
    """Turns texts into vectors by a function of the user's, sync or async.

    ``model`` names what the function asks: vectors are compared only with those of the same name
    and number of dimensions, so give another name when the model changes. ``timeout`` is how many
    seconds a call may take; a synchronous function that takes longer is not waited for, and goes
    on in its thread.
    """

    def __init__(self, fn: EmbedFunction, model: str, *, timeout: float = 30.0) -> None:
        """Take the function. Raises ConfigError for arguments of a wrong type."""
        _check(fn, model, timeout)
        self.fn, self.model, self.timeout = fn, model, timeout

    def __repr__(self) -> str:
        name = getattr(self.fn, "__qualname__", type(self.fn).__name__)
        return f"Embedder({name}, model={self.model!r})"

    async def embed(self, texts: list[str], *, awaited: bool) -> list[array[int]]:
        """Return the quantized vector of each text, all of one length.

        ``awaited`` tells that an event loop drives the call, which then is not blocked. Raises
        EmbeddingError when the function raises, takes too long, or returns something else than a
        vector of finite numbers for each text.
        """
        try:
            vectors = await (self._awaited(texts) if awaited else self._blocking(texts))
            quantized = [quantize(vector) for vector in vectors]
        except (TimeoutError, futures.TimeoutError) as error:
            raise EmbeddingError(f"{self!r} took longer than {self.timeout} s") from error
        except EmbeddingError as error:
            raise EmbeddingError(f"{self!r}: {error}") from error
        except Exception as error:
            raise EmbeddingError(f"{self!r} failed: {type(error).__name__}: {error}") from error
        if len(quantized) != len(texts):
            raise EmbeddingError(
                f"{self!r} returned {len(quantized)} vectors of {len(texts)} texts"
            )
        if len({len(vector) for vector in quantized}) > 1:
            raise EmbeddingError(f"{self!r} returned vectors of different lengths")
        return quantized

    async def stored(self, rows: Sequence[Sequence[str]], *, awaited: bool) -> list[bytes | None]:
        """Return the stored form of the vectors of each row's texts; None for a row without text.

        Asks once for the texts of all rows, each text once.
        """
        wanted = [[text for text in texts if text.strip()][:MAX_VECTORS] for texts in rows]
        distinct = list(dict.fromkeys(text for texts in wanted for text in texts))
        if not distinct:
            return [None] * len(wanted)
        vectors = dict(zip(distinct, await self.embed(distinct, awaited=awaited), strict=True))
        tag = self.tag(len(vectors[distinct[0]]))
        return [pack(tag, map(vectors.__getitem__, texts)) if texts else None for texts in wanted]

    def tag(self, dimensions: int) -> bytes:
        """Return the tag of the model's vectors of that many dimensions."""
        return tag_of(self.model, dimensions)

    async def _blocking(self, texts: list[str]) -> Sequence[Any]:
        return self._in_thread(texts).result(self.timeout)

    async def _awaited(self, texts: list[str]) -> Sequence[Any]:
        import asyncio  # Synchronous code has no use for it.

        if inspect.iscoroutinefunction(self.fn):
            answer: Awaitable[Sequence[Any]] = self.fn(texts)
        else:
            answer = asyncio.wrap_future(self._in_thread(texts))
        try:
            return await asyncio.wait_for(answer, self.timeout)
        except asyncio.TimeoutError as error:  # Until Python 3.10 no TimeoutError.
            raise TimeoutError from error

    def _in_thread(self, texts: list[str]) -> futures.Future[Sequence[Any]]:
        """Call the function in a thread of its own, for which the process does not wait."""
        future = futures.Future[Sequence[Any]]()

        def work() -> None:
            future.set_running_or_notify_cancel()
            try:
                answer = self.fn(texts)
                if inspect.isawaitable(answer):
                    import asyncio

                    answer = asyncio.run(_as_coroutine(answer))
                future.set_result(cast("Sequence[Any]", answer))
            except Exception as error:
                future.set_exception(error)
            except BaseException as error:  # SystemExit, say, must not end the caller.
                future.set_exception(RuntimeError(f"{type(error).__name__}: {error}"))

        Thread(target=work, name=f"embed {self.model}", daemon=True).start()
        return future


async def _as_coroutine(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _check(fn: Any, model: Any, timeout: Any) -> None:
    if not callable(fn):
        raise ConfigError(f"an embedder needs a callable, not {type(fn).__name__}")
    if not (isinstance(model, str) and model):
        raise ConfigError("model must be the name of the model, a str that is not empty")
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout > 0:
        raise ConfigError(f"timeout must be a number of seconds > 0, not {timeout!r:.80}")
