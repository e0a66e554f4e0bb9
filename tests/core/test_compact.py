"""JSON text is what ``json`` would write, however it came about."""

from __future__ import annotations

import json
import sys
from importlib import reload
from typing import Any

import pytest

from buddy.memory import compact

VALUES: list[Any] = [
    {},
    {"memory": "tea", "topics": ["tea", "walks"], "score": 1 / 7, "n": [-(2**63), True, None]},
    {"größe": '"\\/\x00\x1f\u2028\ud800😀', "": {"b": {}, "a": [[]]}},
    {"floats": [0.0, -0.0, 1e16, 1e-7, 5e-324]},
]


def written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@pytest.mark.parametrize("value", VALUES)
def test_the_text_is_that_of_json(value: Any) -> None:
    """Order, escapes and numbers are those of the standard library."""
    assert compact.to_text(value) == written(value)


@pytest.mark.parametrize("value", VALUES)
def test_equal_values_have_one_canonical_text(value: Any) -> None:
    """It is what ``json`` writes with sorted keys, in ASCII, whatever order the keys came in."""
    turned = dict(reversed(value.items()))
    written = json.dumps(value, sort_keys=True, separators=(",", ":"))
    assert compact.to_canonical(turned) == compact.to_canonical(value) == written


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_no_json_is_refused(bad: float) -> None:
    """A float that JSON does not have raises."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        compact.to_text({"score": bad})


@pytest.mark.parametrize("there", [None, type("Other", (), {"make_encoder": lambda: None})])
def test_a_python_without_the_c_part_writes_the_same(
    there: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the C part is missing, or is made in another way, ``json`` itself writes the text."""
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "_json", there)
        reload(compact)
        texts = [compact.to_text(value) for value in VALUES]
    reload(compact)
    assert texts == [written(value) for value in VALUES]
