"""Where the server is: parsed from a URL or given by the constructor's arguments."""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from buddy.memory.config import check_url, redact_url
from buddy.memory.errors import ConfigError

_URL = re.compile(
    r"(?P<name>redis|rediss|valkey|valkeys|unix)(?:\+(?P<mode>sentinel|cluster))?://"
    r"(?:(?P<user>[^/?#]*)@)?(?P<hosts>[^/?#]*)(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?",
    re.IGNORECASE,
)
_HOST = re.compile(r"(?P<host>\[[^\]]+\]|[^:\[\]]*)(?::(?P<port>\d+))?")


class Address(NamedTuple):
    """One server, several Sentinels, or nodes of a cluster.

    ``mode`` is "", "sentinel" or "cluster"; ``path`` that of a Unix socket; ``service`` the name by
    which Sentinels know the master; ``options`` are for the driver, as text.
    """

    hosts: tuple[tuple[str, int], ...]
    mode: str = ""
    db: int = 0
    tls: bool = False
    path: str | None = None
    service: str | None = None
    username: str | None = None
    password: str | None = None
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, url: Any) -> Address:
        """Return the address in a URL. Raises ConfigError, without the password."""
        found = _URL.fullmatch(url.partition("#")[0]) if isinstance(url, str) else None
        if found is None:
            raise ConfigError(
                f"{redact_url(str(url))!r:.200} is not a Redis URL: redis://host:6379/0, "
                "rediss://…, unix:///path.sock?db=0, redis+sentinel://host1,host2/service/0 or "
                "redis+cluster://host1,host2"
            )
        check_url(url)
        options = dict(parse_qsl(found["query"] or "", keep_blank_values=True))
        mode, name = (found["mode"] or "").lower(), found["name"].lower()
        username, _, password = (found["user"] or "").partition(":")
        address = cls(
            hosts=_hosts(found["hosts"], 26379 if mode == "sentinel" else 6379),
            mode=mode,
            tls=name in ("rediss", "valkeys"),
            username=unquote(username) or options.pop("username", None),
            password=unquote(password) or None,
        )
        return address._with_path(name, unquote(found["path"] or ""), options)

    def _with_path(self, name: str, path: str, options: dict[str, str]) -> Address:
        database = options.pop("db", None)
        service = None
        if name == "unix":
            if not path.strip("/") or self.mode:
                raise ConfigError("a URL of a Unix socket is unix:///path.sock")
            self = self._replace(path=path)
        else:
            parts = path.strip("/").split("/")
            if self.mode == "sentinel":
                service = parts.pop(0)
                if not service:
                    raise ConfigError("name the service: redis+sentinel://host1,host2/service/0")
            database = "/".join(parts) or database
        db = _number(database, "the database")
        if self.mode == "cluster" and db:
            raise ConfigError("a cluster has one database, 0")
        return self._replace(db=db, service=service, options=tuple(options.items()))

    def with_user(self, username: str | None, password: str | None) -> Address:
        """Return the address with these, where they are given."""
        return self._replace(
            username=self.username if username is None else username,
            password=self.password if password is None else password,
        )


def _hosts(text: str, port: int) -> tuple[tuple[str, int], ...]:
    found = [_HOST.fullmatch(part.strip()) for part in text.split(",")]
    if not all(found):
        raise ConfigError("hosts are written host:port, several of them separated by commas")
    return tuple(
        (unquote(host["host"]).strip("[]") or "localhost", int(host["port"] or port))
        for host in found
        if host
    )


def _number(text: str | None, what: str) -> int:
    if not text:
        return 0
    if not text.isascii() or not text.isdigit():
        raise ConfigError(f"{what} must be a number, not {text!r:.80}")
    return int(text)
