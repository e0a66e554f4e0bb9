"""From a URL and keyword arguments to the constructor of a backend.

A query parameter that names a constructor argument is an option and is converted by the argument's
annotation; the others stay in the URL for the driver.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast
from urllib.parse import unquote_plus

from buddy.memory.errors import ConfigError

T = TypeVar("T")

_STORE_NAMES = ("table_name", "collection_name", "prefix", "schema")
"""Options that name a store: an empty one is no default, so that an unset variable never leads to
another store."""

_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


def build(cls: type[T], url: str | None, options: Mapping[str, Any]) -> T:
    """Return ``cls(db_url=…, **options)``, with the options of the URL's query taken out of it.

    ``options`` win over the URL. Raises ConfigError for anything that the constructor would not
    take, with the nearest right name. A class whose URL is more than a ``db_url`` overrides
    ``from_url`` and calls ``split`` and ``construct`` itself.
    """
    if url is None:
        return construct(cls, options)
    rest, found = split(cls, url)
    if "db_url" in _parameters(cls):
        return construct(cls, {"db_url": rest, **found, **options})
    if not rest.endswith("://"):
        raise ConfigError(f"{cls.__name__} takes no address in its URL, only options after a ?")
    return construct(cls, {**found, **options})


def split(cls: type[Any], url: str) -> tuple[str, dict[str, Any]]:
    """Return the URL without the options of ``cls``, and these options, converted."""
    address, mark, query = url.partition("?")
    query, hash, fragment = query.partition("#")
    parameters, found, rest = _parameters(cls), {}, []
    for pair in filter(None, query.split("&")):
        name, _, text = pair.partition("=")
        name = unquote_plus(name)
        parameter = parameters.get(name)
        if parameter is None or name in ("db_url", "url"):
            _refuse_near_miss(cls, name)
            rest.append(pair)
        elif name in found:
            raise ConfigError(f"the option {name} stands twice in the URL")
        else:
            found[name] = _convert(parameter, unquote_plus(text))
    return address + (mark + "&".join(rest) if rest else "") + hash + fragment, found


def construct(cls: type[T], options: Mapping[str, Any]) -> T:
    """Return ``cls(**options)``, where text is converted as in a URL."""
    parameters, search = _constructor_parameters(cls), _search_parameters(cls)
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    arguments: dict[str, Any] = {}
    searching: dict[str, Any] = {}
    for name, value in options.items():
        parameter = parameters.get(name)
        if parameter is None and name in search:
            searching[name] = _convert(search[name], value) if isinstance(value, str) else value
            continue
        if parameter is None and not takes_any:
            _refuse_near_miss(cls, name)
            raise ConfigError(
                f"{cls.__name__} has no option {name!r}; it has "
                f"{', '.join(_parameters(cls)) or 'none'}"
            )
        is_text = isinstance(value, str) and parameter is not None
        arguments[name] = _convert(parameter, value) if is_text and parameter else value
    missing = [
        name
        for name, p in parameters.items()
        if p.default is p.empty
        and name not in arguments
        and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    if missing:
        example = "&".join(f"{name}=…" for name in missing)
        raise ConfigError(f"{cls.__name__} needs {', '.join(missing)}: add ?{example} to the URL")
    made: Any = cls(**arguments)
    if searching:
        made.configure_search(**searching)
    return cast("T", made)


def _parameters(cls: type[Any]) -> dict[str, inspect.Parameter]:
    return {**_search_parameters(cls), **_constructor_parameters(cls)}


def _search_parameters(cls: type[Any]) -> dict[str, inspect.Parameter]:
    """Return the options of search, which every database with a Store has."""
    if not hasattr(cls, "configure_search"):
        return {}
    parameters = dict(inspect.signature(cls.configure_search).parameters)
    del parameters["self"]
    return parameters


def _constructor_parameters(cls: type[Any]) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(cls).parameters
    return {name: p for name, p in parameters.items() if p.kind is not p.VAR_POSITIONAL}


def _refuse_near_miss(cls: type[Any], name: str) -> None:
    from difflib import get_close_matches

    near = get_close_matches(name.lower().replace("-", "_"), _parameters(cls), 1, cutoff=0.84)
    if near and near[0] != name:
        raise ConfigError(f"{cls.__name__} has no option {name!r}; did you mean {near[0]!r}?")


def _convert(parameter: inspect.Parameter, text: str) -> Any:
    """Return ``text`` as the annotation wants it; an empty one is None where that is allowed, and
    refused where it would name a store."""
    if text == "" and parameter.name in _STORE_NAMES:
        raise ConfigError(f"the option {parameter.name} is empty: give it a name, or leave it out")
    # Read as words and not evaluated: annotations may name what is imported for checkers only.
    words = set(re.findall(r"\w+", str(parameter.annotation)))
    if parameter.annotation is parameter.empty:
        words = {type(parameter.default).__name__}
    if text == "" and (words & {"None", "Optional", "NoneType"}):
        return None
    for word, convert in _CONVERTERS.items():
        if word in words:
            try:
                return convert(text)
            except ValueError:
                raise ConfigError(
                    f"the option {parameter.name} must be {_MEANT[word]}, not {text!r:.80}"
                ) from None
    if words & {"str", "Path", "PathLike", "Any", "NoneType", "type"}:
        return text
    raise ConfigError(f"the option {parameter.name} is an object and cannot be given as text")


def _bool(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError(text)


_MEANT = {"bool": "true or false", "int": "a whole number", "float": "a number"}
_CONVERTERS: dict[str, Callable[[str], Any]] = {"bool": _bool, "int": int, "float": float}
