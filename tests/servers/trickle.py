"""A proxy between a client and a server, which can let answers through byte by byte."""

from __future__ import annotations

import socket
from contextlib import suppress
from threading import Event, Thread
from types import TracebackType


class Trickle:
    """Passes everything on, to and from a port of this machine; while ``slow`` is set, a byte of
    the answers each tenth of a second."""

    def __init__(self, port: int) -> None:
        self._server, self.slow = port, Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = [self._listener]
        self._ended = Event()
        self._threads = [Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Trickle:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._ended.set()
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server))
            except OSError:
                return
            self._sockets += [client, server]
            for source, target, is_answer in ((client, server, False), (server, client, True)):
                thread = Thread(target=self._pass, args=(source, target, is_answer), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _pass(self, source: socket.socket, target: socket.socket, is_answer: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                while is_answer and data and self.slow.is_set() and not self._ended.is_set():
                    target.sendall(data[:1])
                    data = data[1:]
                    self._ended.wait(0.1)
                target.sendall(data)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
