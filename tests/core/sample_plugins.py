"""Plugins that the tests of the hooks register."""

from __future__ import annotations

import base64
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from buddy.memory import plugins
from buddy.memory.hookspecs import Operation, hookimpl
from buddy.memory.payload import from_json, to_json
from buddy.memory.storage.record import Record


@contextmanager
def registered(*given: object) -> Generator[None]:
    for plugin in given:
        plugins.register(plugin)
    try:
        yield
    finally:
        for plugin in given:
            plugins.unregister(plugin)


class Wraps:
    """Hides the payload in base64, under a key of its own."""

    def __init__(self, key: str = "hidden") -> None:
        self.key = key

    @hookimpl
    def buddy_memory_before_write(self, record: Record) -> Record:
        text = base64.b64encode(to_json(record.payload).encode()).decode()
        return record._replace(payload={self.key: text})

    @hookimpl
    def buddy_memory_after_read(self, record: Record) -> Record:
        return record._replace(payload=from_json(base64.b64decode(record.payload[self.key])))


class Observes:
    def __init__(self) -> None:
        self.seen: list[Any] = []

    @hookimpl
    def buddy_memory_operation(self, operation: Operation) -> Any:
        @contextmanager
        def around() -> Generator[None]:
            try:
                yield
            except BaseException as error:
                self.seen.append((operation.name, type(error).__name__))
                raise
            self.seen.append((operation.name, operation.rows))

        return around()
