"""From a URL to the constructor's arguments."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from buddy.memory.errors import ConfigError
from buddy.memory.options import split


def parse(cls: type[Any], url: str) -> dict[str, Any]:
    """Return what ``firestore://PROJECT/DATABASE?option=…`` says. Raises ConfigError."""
    rest, found = split(cls, url)
    address, _, unknown = rest.partition("?")
    if unknown:
        raise ConfigError(f"{cls.__name__} has no option {unknown.partition('=')[0]!r}")
    if "@" in address:
        raise ConfigError("a Firestore URL names no user: firestore://PROJECT/DATABASE")
    project, _, database = address.partition("://")[2].partition("/")
    named = {"project_id": unquote(project), "db_name": unquote(database)}
    for name, value in named.items():
        if value and found.setdefault(name, value) != value:
            raise ConfigError(f"{name} is given twice in the URL")
    return found
