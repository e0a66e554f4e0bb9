"""No part of a secret is shown: not in errors, not in repr and to_dict."""

from __future__ import annotations

from typing import Any

import pytest

from buddy.memory import open_memory_db
from buddy.memory.config import expand, redact, redact_url
from buddy.memory.errors import ConfigError

PARTS = ("SECRET", "PIECE", "OTHER")

SHOWN = {
    "redis://ann@corp:SECRET@h/0": "redis://ann@corp:SECRET@h/0",
    "an @ in a password": "postgresql://app:My@SECRET1@h/app",
    "a # behind a password in the query": "postgresql://h/app?password=SECRET#PIECE",
    "a ; behind it": "postgresql://h/app?password=SECRET;PIECE",
    "an & behind it": "postgresql://h/app?password=SECRET&PIECE",
    "a broken address": "postgresql://u:SECRET@[::1:5432/db",
    "a / in a password": "redis://u:12/SECRET@h/0",
    "a ? in a password": "firestore://app:SECRET?PIECE@h/p",
    "the password of a key file": "mongodb://h/db?tlsCertificateKeyFilePassword=SECRET",
    "a user and nothing else": "redis://SECRET@OTHER@h",
    "a # in a password": "mongodb://u:SECRET#PIECE@h/db",
    "nothing before the colon": "redis://:SECRET@h:6379/0",
    "an empty password": "redis://u:@h/0?password=SECRET",
}


@pytest.mark.parametrize("url", SHOWN.values(), ids=SHOWN)
def test_a_url_is_shown_from_its_parts(url: str) -> None:
    """What is shown of a URL holds no part of a password, wherever its characters cut it."""
    shown = redact_url(url)
    assert not [part for part in PARTS if part in shown], shown


@pytest.mark.parametrize("url", SHOWN.values(), ids=SHOWN)
def test_an_opened_database_shows_none(url: str) -> None:
    """Neither the error of a URL nor repr and to_dict of what it opens hold a part of a secret."""
    try:
        db = open_memory_db(url)
    except ConfigError as error:
        told = str(error)
    else:
        told = f"{db!r} {db.to_dict()}"
        db.close()
    assert not [part for part in PARTS if part in told], told


@pytest.mark.parametrize(
    "url",
    [
        "redis://ann@corp:pw@h/0",
        "postgresql://app:My@Pw@h/app",
        "redis://u:12/PW@h/0",
        "mongodb://u:a?b@h/db",
        "mongodb://u:a#b@h/db",
    ],
)
def test_a_bare_mark_in_a_password_is_an_error_that_helps(url: str) -> None:
    """Where a password cannot be told from what follows, the error says how to write it."""
    with pytest.raises(ConfigError, match=r"%40 for @.*\$\{PASSWORD\}") as caught:
        open_memory_db(url)
    # The command line takes out of every text what looks like a password.
    assert redact(str(caught.value)) == str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///memory.db?table_name=notes",
        "postgresql://app:***@db.example.com:5432,other:5433/app?sslmode=require",
        "mongodb+srv://u:***@cluster.example.net/db?retryWrites=true",
        "redis+sentinel://h1:26379,h2/service/0",
        "postgresql://u@[::1]:5432/db",
    ],
)
def test_what_is_no_secret_is_shown(url: str) -> None:
    """Host, port, path and options stay."""
    assert redact_url(url) == url


def test_a_variable_is_quoted_for_where_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable before the @ or in the query is data; anywhere else it is text."""
    monkeypatch.setenv("PW", "a@b&c#d/e?f")
    monkeypatch.setenv("DIR", "/data/x")
    quoted: Any = "a%40b%26c%23d%2Fe%3Ff"
    assert expand("redis://u:${PW}@h/0") == f"redis://u:{quoted}@h/0"
    assert expand("postgresql://h/db?password=${PW}&x=1").endswith(f"?password={quoted}&x=1")
    assert expand("sqlite://${DIR}/m.db") == "sqlite:///data/x/m.db"
