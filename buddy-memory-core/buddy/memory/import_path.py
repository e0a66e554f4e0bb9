"""From ``module:Class`` to the class, whatever a plugin does when it is imported."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from buddy.memory.errors import BackendLoadError
from buddy.memory.v2.db.base import AsyncMemoryDb, MemoryDb


class SynchronousClassError(BackendLoadError):
    """An asynchronous class was asked for and a synchronous one is there: run it in threads."""


def load(name: str, path: str, distribution: str, kind: str) -> type[Any]:
    """Return the class at ``path`` for a backend ``name`` of ``kind`` (v1, v2 or async).

    Raises BackendLoadError with the cause, whatever it was; a plugin fails alone.
    """
    try:
        return check_class(name, resolve(path), distribution, kind)
    except (KeyboardInterrupt, BackendLoadError):
        raise
    except BaseException as error:  # A plugin may raise anything, SystemExit too.
        reason = describe(error)
        if isinstance(error, ModuleNotFoundError) and not _is_in(error.name, path):
            reason += f". What it needs is not installed: pip install {distribution}"
        raise BackendLoadError(name, distribution, reason) from error


def _is_in(module: str | None, path: str) -> bool:
    """Tell whether a module is of the package that ``path`` names."""
    return module is None or module.partition(".")[0] == path.partition(":")[0].partition(".")[0]


def resolve(path: str) -> Any:
    """Import and return what ``module`` or ``module:attribute.attribute`` names."""
    module, _, attributes = path.partition(":")
    found: Any = import_module(module.strip())
    for attribute in filter(None, attributes.strip().split(".")):
        found = getattr(found, attribute)
    return found


def check_class(name: str, found: Any, distribution: str, kind: str) -> type[Any]:
    """Return ``found`` when it is a class of that kind; raises BackendLoadError otherwise."""
    base = _base(kind)
    if isinstance(found, type) and issubclass(found, base):
        return found
    if kind == "async" and isinstance(found, type) and issubclass(found, _base("v2")):
        raise SynchronousClassError(name, distribution, "it is synchronous")
    what = found.__qualname__ if isinstance(found, type) else f"a {type(found).__name__}"
    wanted = f"{base.__module__}.{base.__qualname__}"
    raise BackendLoadError(name, distribution, f"{what} is no subclass of {wanted}")


def describe(error: BaseException) -> str:
    """Return the type and text of any error, also of one whose text cannot be had."""
    try:
        return f"{type(error).__name__}: {error}"
    except KeyboardInterrupt:
        raise
    except BaseException:
        return type(error).__name__


def _base(kind: str) -> type[Any]:
    if kind == "v1":
        from buddy.memory.db.base import MemoryDb as V1

        return V1
    return AsyncMemoryDb if kind == "async" else MemoryDb
