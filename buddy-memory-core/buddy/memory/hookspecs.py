"""The hooks: what a plugin may implement.

A plugin is a module or object whose functions are marked with ``hookimpl``; an entry point in the
group ``buddy.memory.plugins`` names it. Hooks of several plugins run in this order: those that were
registered in code, the latest first, then the installed ones by the names of their entry points;
``hookimpl(tryfirst=True)`` and ``trylast=True`` move one. After a read the transforms run in the
opposite order, so that each undoes what it did.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import pluggy

from buddy.memory.receipt import Receipt
from buddy.memory.storage.record import Key, Kind, Record, Scope

PROJECT = "buddy_memory"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a plugin's function as the implementation of the hook with its name."""


class ForgottenUserError(Exception):
    """A transform cannot read a row, nor any other one of its user: what it takes was destroyed.

    Listings leave all of these rows out with one warning, and not with one for each.
    """


@dataclass
class Operation:
    """One call to a Store. ``name`` is that of the Store's method; ``kind`` is None for calls on
    the store as a whole.

    ``scope`` says whose rows a call is about: one user's (``name`` None: nobody's), those of all
    users under a prefix, or everybody's. It is None where a call names no user: by ids alone, on
    the store as a whole, and for bulk calls, whose ``keys`` tell. ``keys`` are the rows of a call,
    as pairs of user and id: from the start where the call names them, at the end for a ``page`` and
    a ``find``. ``ids`` are those of a ``find``. ``rows``, known at the end, counts rows written,
    read or deleted.
    """

    backend: str
    name: str
    kind: Kind | None = None
    scope: Scope | None = None
    keys: Sequence[Key] = ()
    ids: Sequence[str] = ()
    rows: int | None = None


class Specs:
    """The signatures. An implementation may leave out arguments that it does not need."""

    @hookspec(firstresult=True)
    def buddy_memory_config(self, config: str) -> str | None:
        """Return what to open instead of the config string, or None to leave it.

        Runs before the string is parsed. An error fails the call as ConfigError.
        """

    @hookspec
    def buddy_memory_opened(self, db: Any) -> None:
        """A database was opened by its config string. An error is logged and changes nothing."""

    @hookspec
    def buddy_memory_forgotten(self, receipt: Receipt) -> None:
        """A user was forgotten, or it was tried: the receipt says which. An error is logged and
        changes nothing."""

    @hookspec
    def buddy_memory_before_write(self, record: Record) -> Record | None:
        """Return the record to store instead, or None to leave it. Only its payload may differ.

        ``record`` is a copy: changing it in place changes nothing. It is followed at once by
        ``buddy_memory_after_read``, whose outcome is what the call returns as the stored row.
        An error in either fails the call as InvalidMemoryError, before anything of it is stored.
        """
        return None

    @hookspec
    def buddy_memory_after_read(self, record: Record) -> Record | None:
        """Return the record to show instead, or None to leave it. Only its payload may differ.

        It has to depend on kind, id, user_id and payload only: what is read may be newer than what
        was written. An error makes this one row unreadable (rule R16).
        """
        return None

    @hookspec
    def buddy_memory_operation(self, operation: Operation) -> AbstractContextManager[object] | None:
        """Return a context manager that is held during the operation, or None.

        Where it is an asynchronous one as well, that side is used in calls that an event loop
        drives: what takes long is awaited there, so that other tasks go on.
        Its ``__exit__`` sees the operation's error, and cannot swallow it; its own errors are
        logged and change nothing.
        """
        return None
