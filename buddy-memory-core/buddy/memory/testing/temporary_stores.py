"""The kit on whatever a config string names: scratch stores beside the data, dropped afterwards."""

from __future__ import annotations

import inspect
import pickle
import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any
from uuid import uuid4

from buddy.memory import config as configs
from buddy.memory import plugins
from buddy.memory.entry_points import GROUPS
from buddy.memory.errors import BackendLoadError, ConfigError, UnknownBackendError
from buddy.memory.import_path import SynchronousClassError
from buddy.memory.registry import default, open_async_memory_db, open_memory_db
from buddy.memory.testing.backend_under_test import BackendUnderTest, Trial
from buddy.memory.testing.check import Check, Outcome, run_check
from buddy.memory.testing.views import AsyncView

NAMING = ("table_name", "collection_name", "prefix")
"""Constructor arguments that name a store; the first that a class takes is used."""

PREFIX = "buddy_check_"
"""How the names of scratch stores begin."""


def faces(config: str) -> dict[str, type[Any]]:
    """Return the classes that ``config`` leads to by kind: v1, v2 and async.

    A backend without an asynchronous class has its v2 class for async, which runs in threads.
    Raises ConfigError when there is none.
    """
    name = configs.parse(plugins.rewrite(config)).name
    found: dict[str, type[Any]] = {}
    failure: ConfigError | None = None
    for kind in GROUPS:
        try:
            found[kind] = default.lookup(name, kind)
        except (UnknownBackendError, SynchronousClassError) as error:
            failure = error if kind == "v2" else failure or error
        except BackendLoadError as error:
            if ":" not in name:
                raise
            # One class is of one kind; that it is none of the others is no failure.
            failure = error if kind == "v2" else failure or error
    if not found and failure is not None:
        raise failure
    if "v2" in found:
        found.setdefault("async", found["v2"])
    return found


class Scratch:
    """Runs checks on one api of a backend, each in a store of its own.

    ``naming`` is the argument that names a store (None: that of NAMING which the class takes).
    ``here`` uses the store that ``config`` names, which must not exist. ``unreachable`` is a config
    string that leads to a database of the same backend that does not answer; the password in it
    must never be shown. What could not be dropped is in ``left``.
    """

    def __init__(
        self,
        config: str,
        kind: str,
        cls: type[Any],
        options: Mapping[str, Any] | None = None,
        *,
        here: bool = False,
        unreachable: str | None = None,
    ) -> None:
        self._config, self._kind, self._options = config, kind, dict(options or {})
        self._unreachable = unreachable
        self._parameters = inspect.signature(cls).parameters
        self.naming = None if here else next((n for n in NAMING if n in self._parameters), None)
        if self.naming is None and not here:
            raise ConfigError(
                f"{cls.__name__} has no {', '.join(NAMING[:-1])} or {NAMING[-1]} that could name a "
                "scratch store. Name a store that does not exist yet, and say --here."
            )
        if unreachable is not None and faces(unreachable).get(kind) is not cls:
            raise ConfigError("the URL that does not answer must be one of the same backend")
        self._run = f"{PREFIX}{uuid4().hex[:8]}"
        self._used: list[str] = []
        self.left: list[str] = []
        self._shared, self._portable = self._look()

    def run(self, checks: Iterable[Check]) -> Iterator[Outcome]:
        """Yield the outcome of each check that is for this api."""
        side = "async" if self._kind == "async" else "sync"
        for n, check in enumerate(check for check in checks if check.only in ("", side)):
            try:
                yield run_check(check, self._subject(f"{self._run}_{n}"))
            finally:
                self._drop()

    def _open(self, name: str, **options: Any) -> Any:
        if name not in self._used:
            self._used.append(name)
        return self._open_url(self._config, name, {**self._options, **options})

    def _open_url(self, config: str, name: str, options: Mapping[str, Any]) -> Any:
        if self.naming is not None:
            options = {**options, self.naming: name}
        if self._kind == "async":
            return open_async_memory_db(config, **options)
        return open_memory_db(config, version=1 if self._kind == "v1" else 2, **options)

    def _look(self) -> tuple[bool, bool]:
        """Tell whether what one object makes is there for another one, and whether the data are
        outside the process. Raises when the backend does not answer, or a store is in the way."""
        name = f"{self._run}_look"
        trial = Trial(BackendUnderTest(open=lambda: self._open(name)))
        try:
            if self.naming is None and trial.db.table_exists():
                raise ConfigError("--here needs a store that does not exist yet; this one does")
            trial.db.create()
            try:
                return trial.open().table_exists() is True, _is_portable(trial.db)
            finally:
                trial.db.drop_table()
        finally:
            trial.close()
            self._used.clear()

    def _subject(self, name: str) -> BackendUnderTest:
        subject = self._reopened(name)
        if self._unreachable is not None:
            down = self._unreachable
            subject.unreachable = lambda: self._open_url(down, name, {})
            subject.secret = _password(down)
        return subject

    def _reopened(self, name: str) -> BackendUnderTest:
        if not self._shared:
            # Copies share what they hold (R10); opened anew it would be another store.
            origin = self._open(name)
            return BackendUnderTest(open=lambda: deepcopy(origin), waits=False)
        subject = BackendUnderTest(open=lambda: self._open(name), forks=self._portable)
        if self.naming is not None:
            subject.neighbour = lambda: self._open(f"{name}2")
            subject.named = lambda other: self._open(f"{name}{other}")
        return subject

    def _drop(self) -> None:
        while self._used:
            name = self._used[-1]
            try:
                trial = Trial(BackendUnderTest(open=lambda name=name: self._open(name)))  # type: ignore[misc]
                try:
                    trial.db.drop_table()
                finally:
                    trial.close()
            except Exception as error:  # A backend on trial may raise anything.
                self.left.append(f"{name}: {type(error).__name__}: {error}")
            self._used.pop()


def _password(url: str) -> str | None:
    # As redact sees it: what stands between the first colon and the last @.
    found = re.search(r"://[^:/?#@]*:(.+)@", url, re.DOTALL)
    return found[1] if found else None


def _is_portable(db: Any) -> bool:
    try:
        pickle.dumps(db.async_db if isinstance(db, AsyncView) else db)
    except (TypeError, AttributeError, pickle.PicklingError):
        return False
    return True
