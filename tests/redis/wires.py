"""Connections that count, check or break what is sent: what a client does, seen from its wire."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import redis
from redis.crc import key_slot

from buddy.memory.v2.db.redis import RedisMemoryDb


class Killed(BaseException):
    """The process ends here."""


def split_commands(data: bytes) -> list[bytes]:
    """Return the commands in a batch, each as it travels; their words hold no line breaks."""
    return [part for part in re.split(rb"(?=\*\d+\r\n\$)", data) if part]


def words(command: bytes) -> list[bytes]:
    """Return the words of one command."""
    return command.split(b"\r\n")[2::2]


def keys_of(command: list[bytes]) -> list[bytes]:
    """Return the keys that a command names."""
    name = command[0].upper()
    if name in (b"EVAL", b"EVALSHA"):
        return command[3 : 3 + int(command[2])]
    if name in (b"UNLINK", b"DEL", b"EXISTS", b"MGET"):
        return command[1:]
    return [] if name == b"CONFIG" else command[1:2]


def slots_of(command: list[bytes]) -> set[int]:
    """Return the hash slots of the keys of a command."""
    return {key_slot(key) for key in keys_of(command)}


@contextmanager
def wired(
    url: str,
    prefix: str,
    on_send: Callable[[bytes], bytes],
    **options: Any,
) -> Iterator[RedisMemoryDb]:
    """Open a store whose batches go through ``on_send``, which returns what is really sent.

    When that is less than the whole batch, the process ends after it.
    """

    armed = False

    class Wire(redis.Connection):
        def send_packed_command(self, command: Any, check_health: bool = True) -> None:
            data = b"".join(command)
            sent = on_send(data) if armed else data
            if sent:
                super().send_packed_command([sent], check_health)
            if sent != data:
                for _ in split_commands(sent):
                    with suppress(redis.ResponseError):
                        super().read_response()
                raise Killed

    pool: Any = redis.ConnectionPool.from_url(url, connection_class=Wire)
    client = redis.Redis.from_pool(pool)
    client.ping()
    armed = True  # From here on it is only the store that sends.
    with RedisMemoryDb(prefix, client=client, **options) as db:
        yield db
    client.close()


class Batches(list[list[list[bytes]]]):
    """Every batch that was sent, as commands of words. Its ``seen`` is an ``on_send``."""

    def seen(self, data: bytes) -> bytes:
        """Note the batch, and let it pass."""
        self.append([words(command) for command in split_commands(data)])
        return data
