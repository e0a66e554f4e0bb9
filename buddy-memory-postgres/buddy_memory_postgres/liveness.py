"""Liveness checks of pooled connections, mostly without a round trip.

Asking the server before every call would double the time of small ones. A session that the server
ended has sent a notice, or closed its socket; both are seen by polling the socket.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from time import monotonic
from typing import Any

import psycopg
from sqlalchemy import Engine, event, exc
from sqlalchemy.util.concurrency import in_greenlet

IDLE_SECONDS = 30.0
"""After this long without use the server is asked: a firewall drops sessions silently."""

_USED_AT, _HAS_NEWS = "buddy_memory_used_at", "buddy_memory_has_news"


def watch(engine: Engine) -> None:
    """Let the pool of ``engine`` replace connections that were ended while they were idle."""
    event.listen(engine, "connect", _connected)
    if engine.dialect.is_async:
        event.listen(engine, "do_connect", _refuse_to_wait)
        event.listen(engine, "checkout", _check_if_it_can)
    else:
        event.listen(engine, "checkout", _check)


def _connected(connection: Any, record: Any) -> None:
    record.info[_USED_AT] = monotonic()
    record.info[_HAS_NEWS] = _poll_of(record.driver_connection.pgconn.socket)


def is_fresh(info: Any) -> bool:
    """Tell by the ``info`` of a connection whether it can be used without asking the server."""
    now = monotonic()
    if now - info[_USED_AT] >= IDLE_SECONDS or info[_HAS_NEWS]():
        return False
    info[_USED_AT] = now
    return True


# What SQLAlchemy does with an asynchronous driver can wait only in one of its greenlets.


class MustWait(Exception):
    """The pool has no connection to give at once."""


def _refuse_to_wait(*_: Any) -> None:
    if not in_greenlet():
        raise MustWait


def _check_if_it_can(connection: Any, record: Any, proxy: Any) -> None:
    if in_greenlet():
        _check(connection, record, proxy)


def _check(connection: Any, record: Any, proxy: Any) -> None:
    if is_fresh(record.info):
        return
    record.info[_USED_AT] = monotonic()
    try:
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        cursor.close()
    except psycopg.Error as error:
        raise exc.DisconnectionError from error  # The pool makes another one.


def _poll_of(socket: int) -> Callable[[], object]:
    """Return what tells whether something arrived on a socket: the end, or only a notice."""
    if not hasattr(select, "poll"):  # Windows
        return lambda: select.select([socket], [], [], 0)[0]
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return lambda: poll.poll(0)
