"""Templates into answers, and errors into words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse

from buddy.memory import errors
from buddy.memory.config import redact

STATUS: Mapping[type[errors.MemoryDbError], int] = {
    errors.UnavailableError: 503,
    errors.AccessError: 403,
    errors.ConflictError: 409,
    errors.SchemaError: 500,
    errors.CorruptMemoryError: 500,
}
"""Of the answer to an error; any other one is 400: what was asked for."""


class Renderer:
    """Makes pages of templates; ``always`` is what every template may use."""

    def __init__(self, environment: Environment, always: Mapping[str, Any]) -> None:
        self._environment, self._always = environment, always

    def page(self, template: str, status: int = 200, /, **values: Any) -> HTMLResponse:
        """Return the page that a template makes of values."""
        made = self._environment.get_template(template, globals={**self._always}).render(values)
        return HTMLResponse(made, status)


def told(error: Exception) -> tuple[int, str, str]:
    """Return the status, the title and the text for an error."""
    if isinstance(error, HTTPException):
        return error.status_code, "This is not to be had", error.detail
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 400)
    title = {503: "The database does not answer", 403: "Rights are missing"}.get(
        status, "This did not work"
    )
    return status, title, redact(str(error))
