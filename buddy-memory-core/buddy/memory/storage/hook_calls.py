"""How a plugin's hooks are called: transforms checked, observers entered and left."""

from __future__ import annotations

import logging
from asyncio.exceptions import CancelledError
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from functools import partial
from typing import Any

import pluggy

from buddy.memory import payload
from buddy.memory.hookspecs import Operation
from buddy.memory.storage.record import Record

logger = logging.getLogger("buddy.memory")

Named = tuple[str, Callable[..., Any]]
"""A hook's implementation, with the name of its plugin in front."""


def functions(caller: pluggy.HookCaller, argument: str) -> list[Named]:
    """Return a hook's implementations in the order in which they run, each taking one argument."""

    def adapted(implementation: pluggy.HookImpl) -> Callable[..., Any]:
        function = implementation.function
        return function if argument in implementation.argnames else lambda _: function()

    return [(i.plugin_name, adapted(i)) for i in reversed(caller.get_hookimpls())]


def transformed(old: Record, transform: Callable[[Record], Record | None]) -> Record:
    """Return what a transform makes of a record; it may differ in the payload only."""
    # The transform gets a copy, so that what it does in place goes nowhere unchecked.
    new = transform(old._replace(payload=payload.encode(old.payload, old.kind.value)))
    if new is None:
        return old
    if new._replace(payload=old.payload) != old:
        raise ValueError("a transform may change nothing but the payload")
    # Of what compares equal (a time in another zone, 1.0 for 1) the old one stays.
    return old._replace(payload=payload.encode(new.payload, old.kind.value))


@asynccontextmanager
async def observed(
    observers: Sequence[Named], operation: Operation, *, awaited: bool
) -> AsyncGenerator[Operation]:
    """Hold the observers' contexts during an operation; they see its error.

    Each context that was entered is left, once and in the opposite order, whatever an observer
    raises. Nothing of that reaches the operation but KeyboardInterrupt, which is the user's. A
    context that can be awaited is, where an event loop drives the call (``awaited``).
    """
    async with AsyncExitStack() as contexts:
        for plugin, observe in observers:
            context = None
            with _harmless(plugin):
                context = observe(operation)
            if context is None:
                continue
            if awaited and isinstance(context, AbstractAsyncContextManager):
                with _harmless(plugin, CancelledError):
                    await context.__aenter__()
                    contexts.push_async_exit(partial(_leave_awaited, plugin, context))
            else:
                with _harmless(plugin):
                    context.__enter__()
                    contexts.push(partial(_leave, plugin, context))
        yield operation


@contextmanager
def _harmless(plugin: str, passing: type[BaseException] = KeyboardInterrupt) -> Generator[None]:
    """An observer that fails is logged, and the operation goes on.

    ``passing`` is an error that is somebody else's: who waits in an observer can be cancelled.
    """
    try:
        yield
    except (KeyboardInterrupt, passing):
        raise
    except BaseException:  # A CancelledError that an observer raises cancels nothing.
        logger.exception("the plugin %s failed while observing", plugin)


def _leave(plugin: str, context: AbstractContextManager[object], *error: Any) -> bool:
    with _harmless(plugin):
        context.__exit__(*error)
    return False


async def _leave_awaited(
    plugin: str, context: AbstractAsyncContextManager[object], *error: Any
) -> bool:
    with _harmless(plugin, CancelledError):
        await context.__aexit__(*error)
    return False
