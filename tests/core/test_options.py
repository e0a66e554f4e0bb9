"""From URL and keyword arguments to a constructor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from buddy.memory.config import expand
from buddy.memory.errors import ConfigError
from buddy.memory.options import build, construct, split

if TYPE_CHECKING:
    from somewhere import Client  # type: ignore[import-not-found]


@dataclass
class Db:
    table_name: str
    db_url: str | None = None
    expire: int | None = None
    ssl: bool = False
    ratio: float = 1.0
    schema: str | None = "ai"
    client: Client | None = None
    plain: Any = None


def test_options_are_taken_out_of_the_url_and_converted() -> None:
    """Parameters that name an argument are converted by its annotation; the others stay."""
    db = build(
        Db, "x://h/d?table_name=my+t%26&keep=a%20b&expire=60&ssl=yes&ratio=.5&sslmode=on", {}
    )
    assert (db.table_name, db.expire, db.ssl, db.ratio) == ("my t&", 60, True, 0.5)
    assert db.db_url == "x://h/d?keep=a%20b&sslmode=on"


def test_an_empty_parameter_is_none_where_that_is_allowed() -> None:
    """An empty parameter is None where the annotation allows it."""
    assert build(Db, "x://?table_name=a&expire=", {}).expire is None


@pytest.mark.parametrize("given", ["?table_name=", "?table_name=a&schema="])
def test_an_empty_name_of_a_store_is_refused(given: str) -> None:
    """An empty option that names a store is refused: an unset variable is no other store."""
    with pytest.raises(ConfigError, match="is empty"):
        build(Db, f"x://{given}", {})


def test_an_empty_name_from_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is set and empty does not lead to another store."""
    monkeypatch.setenv("SCHEMA", "")
    with pytest.raises(ConfigError, match="schema is empty"):
        build(Db, expand("x://?table_name=a&schema=${SCHEMA}"), {})


def test_keyword_arguments_win() -> None:
    """Keyword arguments win over the URL, and text in them is converted too."""
    db = build(Db, "x://?table_name=a&expire=1", {"table_name": "b", "expire": "2"})
    assert (db.table_name, db.expire) == ("b", 2)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("x://?table_name=a&table_name=b", "twice"),
        ("x://?tabel_name=a", "did you mean 'table_name'"),
        ("x://?TABLE-NAME=a", "did you mean 'table_name'"),
        ("x://?tablename=a", "did you mean 'table_name'"),
        ("x://?table_name=a&expire=soon", "expire must be a whole number, not 'soon'"),
        ("x://?table_name=a&ssl=perhaps", "ssl must be true or false"),
        ("x://?table_name=a&client=c", "client is an object"),
        ("x://?expire=1", "needs table_name"),
    ],
)
def test_a_wrong_option_says_what_to_do(url: str, says: str) -> None:
    """A wrong option is a ConfigError that names the right one or the wanted type."""
    with pytest.raises(ConfigError, match=says):
        build(Db, url, {})


def test_an_unknown_argument_is_an_error() -> None:
    """An unknown keyword argument is a ConfigError that lists the known ones."""
    with pytest.raises(ConfigError, match="no option 'nonsense'; it has table_name"):
        construct(Db, {"table_name": "a", "nonsense": 1})


def test_a_class_without_an_address_takes_options_only() -> None:
    """A class without db_url takes a URL of nothing but options."""

    class Bare:
        def __init__(self, size=5) -> None:  # type: ignore[no-untyped-def]
            self.size = size

    assert build(Bare, "bare://?size=7", {}).size == 7
    with pytest.raises(ConfigError, match="takes no address"):
        build(Bare, "bare://host", {})


def test_the_rest_of_a_url_is_not_touched() -> None:
    """What is not an option stays in the URL to the letter, order and fragment included."""
    url = "m://h1,h2/d?b=%2F&a&b=2&c=%zz#frag?x"
    assert split(Db, url) == (url, {})
