"""Who may see the page: who has the one-time link, from this machine, on our own pages.

A page of somebody else in the same browser can send requests here, but not with our cookie
(SameSite), not under another name of this machine (Host: against DNS rebinding), and no form with
our origin (Origin: other ports of this machine are the same site).
"""

from __future__ import annotations

import secrets
from hmac import compare_digest

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Not "no-referrer", with which browsers send forms without their origin.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

SIGNED_IN = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Signed in</title>
<link rel="icon" href="/static/icon.svg">
<meta http-equiv="refresh" content="0; url=/"><p>Signed in. <a href="/">Go on</a></p></html>"""
"""A page and no redirect: the cookie of a redirect that began elsewhere would not be sent."""

NO_LINK = "Open the link that the command printed. It works once: if it was used, start it again.\n"


class Guard:
    """Answers what is not allowed itself, and gives every answer its headers."""

    def __init__(self, app: ASGIApp, *, port: int, token: str) -> None:
        self._app = app
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}
        self._token: str | None = token
        self._cookie, self._session = f"buddy_memory_ui_{port}", secrets.token_urlsafe(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        answer = self._answer(scope)
        await (answer or self._app)(scope, receive, send_with_headers)

    def _answer(self, scope: Scope) -> Response | None:
        """Return the answer to a request that is not for the pages, or None."""
        headers, host = Headers(scope=scope), Headers(scope=scope).get("host", "")
        if host not in self._hosts:
            return PlainTextResponse("This name is not served.\n", 421)
        if scope["method"] not in ("GET", "HEAD") and (
            headers.get("origin") != f"http://{host}"
            or headers.get("sec-fetch-site", "same-origin") != "same-origin"
        ):
            return PlainTextResponse("This form is of another page.\n", 403)
        cookies = cookie_parser(headers.get("cookie", ""))
        if compare_digest(cookies.get(self._cookie, "").encode(), self._session.encode()):
            return None
        if scope["path"] == "/" and self._is_the_token(scope["query_string"]):
            self._token = None
            answer = HTMLResponse(SIGNED_IN)
            answer.set_cookie(self._cookie, self._session, httponly=True, samesite="strict")
            return answer
        return PlainTextResponse(NO_LINK, 403)

    def _is_the_token(self, query: bytes) -> bool:
        given = QueryParams(query).get("token", "")
        return self._token is not None and compare_digest(given.encode(), self._token.encode())
