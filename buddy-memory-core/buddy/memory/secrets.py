"""What may be shown of a URL, and of a text that may hold one.

A URL is shown from its parsed parts, so that no part of a secret is left where somebody forgot to
write %40 for an @. Texts of drivers have no parts; what looks like a password is taken out of them.
"""

from __future__ import annotations

import re

from buddy.memory.errors import ConfigError

_SECRETS = (
    *("passw", "pwd", "secret", "token", "credential", "apikey", "api_key", "mechanismprop"),
    *("certificatekeyfile", "sslkey", "private"),
)
_URL = re.compile(
    r"(?P<scheme>[\w+.-]*://)(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>.*)", re.S
)
_HOSTS = re.compile(
    r"(?:[\w.*-]+|\[[0-9A-Fa-f:.%]+\])?(?::\d+)?(?:,(?:[\w.-]+|\[[^\]@]+\])(?::\d+)?)*"
)
_USER = re.compile(r"[\w.~!$&'()*+,;=%-]*")
_PARAMETER = re.compile(r"[\w.-]+=[^@#;]*")
_PASSWORD = re.compile(r"(://[^:/?#@]*:).*@", re.DOTALL)
_VALUE = re.compile(r"([?&;][^?=&;#]*=)[^&;#]*")


def check_url(url: str) -> None:
    """Raise ConfigError where the password of a URL cannot be told from what follows it."""
    found = _URL.fullmatch(url)
    if found is None:
        return
    authority, path, query = found["authority"], found["path"], found["query"]
    is_split = ":" in authority and "@" not in authority and "@" in path + query.partition("=")[0]
    if authority.count("@") > 1 or is_split:
        raise ConfigError(
            "a character of the user or the password has a meaning in URLs: write %40 for @, "
            f"%2F for /, %3F for ?, %23 for #, or ${{PASSWORD}}, in {redact_url(url)!r}"
        )


def redact_url(url: str) -> str:
    """Return a URL, or what was meant to be one, without its secrets, built from its parts.

    What cannot be told from a secret is left out: "***" stands for it.
    """
    found = _URL.fullmatch(url)
    if found is None:
        return "***" if re.search("[@:]", url) else url
    userinfo, at, hosts = found["authority"].rpartition("@")
    shown = found["scheme"]
    if at:
        user, colon, _ = userinfo.partition(":")
        shown += (user if _USER.fullmatch(user) else "***") + (":***" if colon else "") + "@"
    if "@" in found["path"] + found["query"].partition("=")[0] or not _HOSTS.fullmatch(hosts):
        # Some of a password may stand in any part from here on, a number for a port included.
        is_file = not found["authority"]
        return f"{shown}{found['path']}" if is_file and "@" not in userinfo else f"{shown}***"
    return f"{shown}{hosts}{found['path']}{_shown_query(found['query'])}"


def _shown_query(query: str) -> str:
    """Return the parameters up to the first one that is or may be a secret; after that, a part of
    it may follow any mark."""
    if not query.startswith("?"):
        return ""
    shown = []
    for pair in query[1:].split("&"):
        name = pair.partition("=")[0]
        if any(word in name.lower() for word in _SECRETS):
            shown.append(f"{name}=***" if re.fullmatch(r"[\w.-]+", name) else "***")
            break
        if not _PARAMETER.fullmatch(pair):
            shown.append("***")
            break
        shown.append(pair)
    return "?" + "&".join(shown)


def redact(text: str) -> str:
    """Return the text of a driver without what looks like the password of a URL in it."""
    # Each in a time that grows with the text alone: errors are shown like this that quote rows.
    until = text.rfind("@") + 1
    shown = _PASSWORD.sub(r"\1***@", text[:until]) + text[until:]
    return _VALUE.sub(_without_secret, shown)


def _without_secret(parameter: re.Match[str]) -> str:
    name = parameter[1].lower()
    return f"{parameter[1]}***" if any(word in name for word in _SECRETS) else parameter[0]
