"""Connections of redis-py whose answers come within the timeout as a whole.

redis-py gives each part of an answer the whole timeout: a server that sends a byte now and then is
waited for without an end. The asynchronous connections bound each answer by themselves.
"""

from __future__ import annotations

from functools import lru_cache
from time import monotonic
from typing import Any


class BoundedSocket:
    """A socket on which what was sent last is answered within the timeout, or TimeoutError."""

    def __init__(self, socket: Any) -> None:
        self._socket, self._timeout = socket, socket.gettimeout()
        self._end: float | None = None
        self._is_shortened = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def settimeout(self, timeout: float | None) -> None:
        """Set the timeout: None waits without an end, 0 not at all."""
        self._timeout, self._is_shortened = timeout, False
        self._socket.settimeout(timeout)

    def sendall(self, data: Any) -> None:
        """Send, and give what is answered to it the whole timeout."""
        if self._is_shortened:
            self.settimeout(self._timeout)
        self._end = None
        self._socket.sendall(data)

    def recv(self, size: int) -> bytes:
        """Return the next part of the answer."""
        self._shorten()
        part: bytes = self._socket.recv(size)
        return part

    def recv_into(self, *arguments: Any) -> int:
        """Read the next part of the answer into a buffer; return its length."""
        self._shorten()
        return int(self._socket.recv_into(*arguments))

    def _shorten(self) -> None:
        if not self._timeout:
            return
        now = monotonic()
        if self._end is None:  # The first part.
            self._end = now + self._timeout
            return
        if now >= self._end:
            raise TimeoutError("the answer took too long")
        self._is_shortened = True
        self._socket.settimeout(self._end - now)


class _Bounded:
    def _connect(self) -> Any:
        return BoundedSocket(super()._connect())  # type: ignore[misc]


@lru_cache
def bounded(connection_class: type[Any]) -> type[Any]:
    """Return the class of redis-py's connections with bounded answers."""
    return type(connection_class.__name__, (_Bounded, connection_class), {})
