"""Connections that still work: what is checked when one leaves the pool, at the price of a look.

Asking the server before every call would double the time of the small ones. A session that the
server ended has said so, or has closed its socket, and both can be seen without a round trip.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from time import monotonic
from typing import Any

import psycopg
from sqlalchemy import Engine, event, exc

IDLE_SECONDS = 30.0
"""After this long without use the server is asked: a firewall ends sessions without a word."""

_USED_AT, _HAS_NEWS = "buddy_memory_used_at", "buddy_memory_has_news"


def watch(engine: Engine) -> None:
    """Let the pool of ``engine`` replace connections that were ended while they were idle."""
    event.listen(engine, "connect", _connected)
    event.listen(engine, "checkout", _check)


def _connected(connection: Any, record: Any) -> None:
    record.info[_USED_AT] = monotonic()
    record.info[_HAS_NEWS] = _look_at(record.driver_connection.pgconn.socket)


def _check(connection: Any, record: Any, proxy: Any) -> None:
    info, now = record.info, monotonic()
    used_at, info[_USED_AT] = info[_USED_AT], now
    if now - used_at < IDLE_SECONDS and not info[_HAS_NEWS]():
        return
    try:
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        cursor.close()
    except psycopg.Error as error:
        raise exc.DisconnectionError from error  # The pool makes another one.


def _look_at(socket: int) -> Callable[[], object]:
    """Return what tells whether something arrived on a socket: the end, or only a notice."""
    if not hasattr(select, "poll"):  # Windows
        return lambda: select.select([socket], [], [], 0)[0]
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return lambda: poll.poll(0)
