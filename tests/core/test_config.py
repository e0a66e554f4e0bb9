"""Config strings: what is named, what is filled in, what is never shown."""

from __future__ import annotations

from typing import Any

import pytest

from buddy.memory.config import Target, expand, parse, redact, redact_url
from buddy.memory.errors import ConfigError


@pytest.mark.parametrize(
    ("config", "target"),
    [
        ("sqlite:///a.db", Target("sqlite", "sqlite:///a.db", {})),
        ("  SQLite:///a.db\n", Target("sqlite", "SQLite:///a.db", {})),
        ("postgresql+psycopg://h/d", Target("postgresql+psycopg", "postgresql+psycopg://h/d", {})),
        ("sqlite", Target("sqlite", None, {})),
        ("acme.v2:AcmeMemoryDb", Target("acme.v2:AcmeMemoryDb", None, {})),
        ({"backend": "redis", "prefix": "x"}, Target("redis", None, {"prefix": "x"})),
        ({"url": "redis://h", "expire": 5}, Target("redis", "redis://h", {"expire": 5})),
    ],
    ids=str,
)
def test_a_config_names_a_backend(config: Any, target: Target) -> None:
    """A URL, a name, a class and a mapping each name a backend."""
    assert parse(config) == target


@pytest.mark.parametrize(
    "config",
    ["", "   ", "a b", "/var/a.db", "://x", None, 5, b"sqlite", {}, {"prefix": "x"}, ["sqlite"],
     {"backend": "a", "url": "b://"}, {"backend": ""}],
    ids=repr,
)  # fmt: skip
def test_what_names_nothing_is_an_error(config: Any) -> None:
    """Anything else is a ConfigError that says what to give."""
    with pytest.raises(ConfigError, match=r"named|names"):
        parse(config)


def test_variables_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """${NAME} is filled from the environment, in strings and in the values of a mapping."""
    monkeypatch.setenv("URL_IN_ENV", "sqlite:///a.db?x=1")
    monkeypatch.setenv("PREFIX_IN_ENV", "p")
    assert parse("${URL_IN_ENV}").url == "sqlite:///a.db?x=1"
    assert parse({"backend": "redis", "prefix": "${PREFIX_IN_ENV}"}).options == {"prefix": "p"}


def test_a_password_from_the_environment_may_hold_anything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before the @ a value is percent-encoded; elsewhere it is inserted as it stands."""
    monkeypatch.setenv("PW", "p@ss:/w?rd#%")
    monkeypatch.setenv("WHERE", "host:5432/app?x=${PW}")
    assert (
        expand("postgresql://u:${PW}@${WHERE}")
        == "postgresql://u:p%40ss%3A%2Fw%3Frd%23%25@host:5432/app?x=${PW}"
    )


def test_an_unset_variable_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unset variable is a ConfigError that names it."""
    monkeypatch.delenv("NOT_SET", raising=False)
    with pytest.raises(ConfigError, match="NOT_SET is not set"):
        parse("redis://${NOT_SET}/0")


def test_an_empty_variable_names_no_other_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable is a ConfigError, except as a user, a password or in a query."""
    monkeypatch.setenv("EMPTY", "")
    for config in ("sqlite:///${EMPTY}", "redis://h/${EMPTY}", {"url": "sqlite:///${EMPTY}"}):
        with pytest.raises(ConfigError, match="EMPTY is empty"):
            parse(config)
    assert expand("redis://:${EMPTY}@h/0?x=${EMPTY}") == "redis://:@h/0?x="


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:SECRET@host/db",
        "postgresql://user:SECRET@with@ats/and/slashes@host/db",
        "redis://:SECRET@host:6379/0?prefix=a@b",
        "postgresql://user:SECRET/unescaped@host:notaport/db",
        "mongodb://u:SECRET@h1,h2/db?authSource=x",
        "x://host/?password=SECRET&a=1",
        "x://host/?a=1&sslpassword=SECRET",
        "x://host/?API_KEY=SECRET#f",
        "mongodb://u@host/?authMechanismProperties=AWS_SESSION_TOKEN:SECRET",
    ],
)
def test_passwords_are_never_shown(url: str) -> None:
    """A URL is shown without its passwords, whether or not it is well-formed."""
    assert "SECRET" not in redact(url)
    assert "***" in redact(url)


@pytest.mark.parametrize(
    "text",
    ["ann:SECRET@host/db", "postgresql:ann:SECRET@host/db", "redis:/:SECRET@host", ":SECRET\n@h:1"],
)
def test_what_was_meant_to_be_a_url_is_no_secret_either(text: str) -> None:
    """Where the scheme or a slash is missing, the error shows the text without its password."""
    assert "SECRET" not in redact_url(text)
    for config in (text, {"url": text}):
        with pytest.raises(ConfigError, match="names no database") as caught:
            parse(config)
        assert "SECRET" not in str(caught.value)
        assert "***" in str(caught.value)


@pytest.mark.parametrize(
    ("config", "example"),
    [
        ("/var/a.sqlite3", "sqlite:////var/a.sqlite3"),
        ("sqlite:/cli.db", "sqlite:///cli.db"),
        ("sqlite:memory.db", "sqlite:///memory.db"),
        ("file:memory.db", "sqlite:///memory.db"),
        ("C:\\data\\memory.db", "sqlite:///C:\\data\\memory.db"),
        ("redis:localhost:6379", "redis://…"),
        ("postgresql:/x", "postgresql://…"),
    ],
)
def test_a_slip_in_a_url_is_answered_with_what_was_meant(config: str, example: str) -> None:
    """Where slashes are missing, the error gives the URL of that file, or of that backend."""
    with pytest.raises(ConfigError) as caught:
        parse(config)
    assert f"a URL such as {example}, the name" in str(caught.value)


def test_a_hint_shows_no_secret() -> None:
    """A URL without its slashes is no file, whatever it ends with."""
    for config in ("redis:/:SECRET@host/x.db", "ann:SECRET@host/x.db"):
        with pytest.raises(ConfigError) as caught:
            parse(config)
        assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("piece", ["?passw", "?", "://a:", "://", "@://a:", "?passw=", ":@"])
def test_long_texts_are_shown_soon(piece: str) -> None:
    """What nobody would call a URL takes no longer for being repetitive."""
    text = piece * 100_000
    assert len(redact(text)) <= 2 * len(text)


def test_what_is_no_secret_is_shown() -> None:
    """A URL without a password is shown as it is."""
    for url in ("sqlite:///a.db?x=1", "redis://host:6379/0", "mongodb://user@host/db", "plain"):
        assert redact(url) == url
