"""How a plugin's hooks are called: transforms checked, observers entered and left."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
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
    return new._replace(payload=payload.encode(new.payload, new.kind.value))


@contextmanager
def observed(observers: Sequence[Named], operation: Operation) -> Generator[Operation]:
    """Hold the observers' contexts during an operation; they see its error."""
    entered: list[tuple[str, AbstractContextManager[object]]] = []
    for plugin, observe in observers:
        with _harmless(plugin):
            context = observe(operation)
            if context is not None:
                context.__enter__()
                entered.append((plugin, context))
    try:
        yield operation
    except BaseException as error:
        _leave(entered, type(error), error, error.__traceback__)
        raise
    _leave(entered, None, None, None)


@contextmanager
def _harmless(plugin: str) -> Generator[None]:
    """An observer that fails is logged, and the operation goes on."""
    try:
        yield
    except Exception:
        logger.exception("the plugin %s failed while observing", plugin)


def _leave(entered: list[tuple[str, AbstractContextManager[object]]], *error: Any) -> None:
    for plugin, context in reversed(entered):
        with _harmless(plugin):
            context.__exit__(*error)
