"""What an assertion of the kit compared, also where pytest does not rewrite it."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any

_WIDTH = 400
_READERS = {
    "ids", "get", "get_many", "read", "page", "count", "payload", "updated", "table_exists",
    "list_users", "change_mark", "mark_of",
    "len", "list", "map", "repr", "set", "sorted", "str", "type",
}  # fmt: skip
"""Calls that may be repeated to show their value: they change nothing."""


def explain(error: AssertionError) -> str:
    """Return the source of the assertion that failed, what its sides are, and its message."""
    frame, line = _origin(error)
    found = None if frame is None else _assertion(frame.f_code.co_filename, line)
    if frame is None or found is None:
        return str(error)
    values = [f"  {ast.unparse(side)} is {value}" for side, value in _values(found.test, frame)]
    case = f" ({error})" if error.args else ""
    return "\n".join([f"assert {ast.unparse(found.test)}{case}", *values])


def _origin(error: AssertionError) -> tuple[FrameType | None, int]:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return (None, 0) if trace is None else (trace.tb_frame, trace.tb_lineno)


def _assertion(file: str, line: int) -> ast.Assert | None:
    """Return the assert statement on that line of that file, if there is one."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert) and node.lineno <= line <= (node.end_lineno or 0):
            return node
    return None


def _values(test: ast.expr, frame: FrameType) -> Iterator[tuple[ast.expr, str]]:
    sides = [test.left, *test.comparators] if isinstance(test, ast.Compare) else [test]
    for side in sides:
        if isinstance(side, ast.Constant) or not _may_be_repeated(side, frame):
            continue
        # The kit's own source, and nothing that a backend returned.
        code: CodeType = compile(ast.Expression(side), "<the assertion>", "eval")
        try:
            value: Any = eval(code, {**frame.f_globals, **frame.f_locals})  # noqa: S307
        except Exception as error:
            yield side, f"no longer to be had: {type(error).__name__}: {error}"[:_WIDTH]
        else:
            text = repr(value)
            yield side, text if len(text) <= _WIDTH else f"{text[:_WIDTH]}…"


def _may_be_repeated(side: ast.expr, frame: FrameType) -> bool:
    called = [node.func for node in ast.walk(side) if isinstance(node, ast.Call)]
    names = [f.attr if isinstance(f, ast.Attribute) else getattr(f, "id", "") for f in called]
    held = [frame.f_locals.get(node.id) for node in ast.walk(side) if isinstance(node, ast.Name)]
    # An iterator is used up by now.
    return set(names) <= _READERS and not any(hasattr(value, "__next__") for value in held)
