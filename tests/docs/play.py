"""Run the code of one page from top to bottom, as its reader would: ``python play.py PAGE``.

Blocks with a title are saved as the file of that name. The other Python blocks share one namespace,
as in one program; what they print must be what the ``# →``
comments of the block say, where it has any. Console blocks go through a shell, and what a command
prints must be what the page shows below it, where it shows anything, apart from numbers, ids, paths
and the widths of tables; ``…`` stands for any text.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from markdown_it import MarkdownIt


class Block(NamedTuple):
    """A block of code: its language ("" when it is only indented), text, and first line; the name
    of the file that it is to be saved as, or None."""

    kind: str
    code: str
    line: int
    file: str | None = None


def blocks(page: Path) -> Iterator[Block]:
    """Yield the code blocks of a page."""
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        if token.type in ("fence", "code_block"):
            assert token.map is not None
            kind, _, more = token.info.partition(" ")
            title = re.fullmatch(r'title="([\w.]+)"', more)
            line = token.map[0] + (token.type == "fence")
            yield Block(kind, token.content, line, title and title[1])


def play_python(block: Block, page: str, program: ModuleType) -> None:
    """Run a Python block in the namespace of its page, and compare what it prints."""
    shown = re.findall(r"^ *# → (.*)$", block.code, re.MULTILINE)
    with redirect_stdout(io.StringIO()) as printed:
        # As many empty lines before it as the page has: a traceback names the page's line.
        exec(compile("\n" * block.line + block.code, page, "exec"), vars(program))  # noqa: S102
    lines = printed.getvalue().splitlines()
    assert not shown or lines == shown, f"the block printed {lines}, and the page says {shown}"


def play_console(block: Block) -> None:
    """Run the commands of a console block, each with ``y`` as the answer to its questions."""
    for command, shown in re.findall(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n?)*)", block.code, re.M):
        ran = subprocess.run(
            ["bash", "-c", command],
            input="y\n",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        expected = re.escape(_bare(shown)).replace("…", ".*")
        assert not shown.strip() or re.fullmatch(expected, _bare(ran.stdout)), (
            f"$ {command}\nprinted\n{ran.stdout}\nand the page says\n{shown}"
        )
        assert ran.returncode == 0 or "error" in shown.lower(), f"$ {command}\n{ran.stdout}"


def _bare(text: str) -> str:
    """Return what has to be the same in every run."""
    text = re.sub(r"\[y/N\]: y\b", "[y/N]: ", text)
    text = re.sub(r"; an editable install\s+has no hashes to\s+compare", "", text)
    text = re.sub(r" \([\d,]+ rows/s\)", "", text)
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", text)
    text = re.sub(r"(?<![\w:/])/[\w./-]+/", "/", text)
    text = re.sub(r"\d[\d,.]*", "0", text)
    return " ".join(re.sub(r"([─━═-])\1+", r"\1", text).split())


def main(page: Path) -> int:
    """Run the page in the current directory; ``PLAY_ADDRESSES`` maps its servers to ours."""
    addresses = json.loads(os.environ.pop("PLAY_ADDRESSES", "{}"))
    sys.modules["__main__"] = program = ModuleType("__main__")
    for block in blocks(page):
        code = block.code
        for written, ours in addresses.items():
            code = code.replace(written, ours)
        try:
            if block.file is not None:
                Path(block.file).write_text(code, encoding="utf-8")
            elif block.kind == "python":
                play_python(block._replace(code=code), page.name, program)
            elif block.kind == "console":
                play_console(block._replace(code=code))
        except BaseException:
            traceback.print_exc()
            print(f"This was the block at {page}:{block.line}", file=sys.stderr)  # noqa: T201
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
