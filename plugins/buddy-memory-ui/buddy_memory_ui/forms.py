"""What a browser sent, parsed: users and rows in addresses, and the fields of forms."""

from __future__ import annotations

import json
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request

from buddy.memory import NOBODY
from buddy.memory.errors import ConfigError
from buddy.memory.payload import from_json
from buddy.memory.storage.users import Nobody

MOST_BYTES = 16 * 2**20
"""Of a form: a payload of 1 MiB takes up to six times as much in it."""


class Owner(NamedTuple):
    """Whose rows a page shows: a user, or nobody (None)."""

    name: str | None

    @classmethod
    def of(cls, fields: QueryParams | dict[str, str]) -> Owner:
        """Take ``user`` from fields; ``nobody`` among them is who has no name."""
        if "nobody" in fields:
            return cls(None)
        if "user" not in fields:
            raise HTTPException(400, "The address names no user.")
        return cls(fields["user"])

    @property
    def argument(self) -> str | Nobody:
        """As the methods of databases take it."""
        return NOBODY if self.name is None else self.name

    @property
    def fields(self) -> dict[str, str]:
        """As the fields of an address or form."""
        return {"nobody": "1"} if self.name is None else {"user": self.name}

    def address(self, path: str, **more: Any) -> str:
        """Return an address about this owner; what is None is left out."""
        given = {name: str(value) for name, value in more.items() if value is not None}
        return f"{path}?{urlencode({**self.fields, **given})}"


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a form. Raises HTTPException for one that is none, or too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise HTTPException(413, "This is too large for the page: use the library.")
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, strict_parsing=True, errors="strict"
        )
    except ValueError:
        raise HTTPException(400, "This is no form.") from None
    return dict(pairs)


def version_of(fields: dict[str, str]) -> int:
    """Return the version that was seen. Raises HTTPException without one."""
    text = fields.get("version", "")
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise HTTPException(400, "The form names no version.")
    return int(text)


def payload_of(text: str) -> dict[str, Any]:
    """Return the payload that was written. Raises ConfigError that says what is wrong."""
    try:
        return from_json(text.strip())
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ConfigError(f"This is no JSON: {error.msg} at {place}.") from error
    except ValueError as error:
        raise ConfigError(f"This cannot be stored: {error}.") from error


def where_of(text: str) -> Any:
    """Return the filter that was written, or None for nothing. Raises ConfigError."""
    try:
        return json.loads(text) if text.strip() else None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"The filter is no JSON: {error}.") from error
