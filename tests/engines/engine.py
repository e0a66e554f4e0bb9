"""What the program needs to know of a running engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Engine:
    """A running engine. ``hurt`` kills a node, and lets another take over where nothing else does;
    None for an engine that is only tried with the kit."""

    title: str
    version: str
    url: str
    """Its URL, or the class of its backend."""
    hurt: Callable[[], None] | None = None
    done: str = ""
    """What ``hurt`` does, in a few words."""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    tests: tuple[list[str], dict[str, str]] | None = None
    """Arguments of pytest, and variables by which these tests find the engine."""


Start = Callable[[], AbstractContextManager[Engine]]
