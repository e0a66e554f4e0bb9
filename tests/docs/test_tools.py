"""The tools that try the documentation notice what is wrong with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.check_site import problems
from tests.docs.test_pages import PLAYER

GOOD = """\
# A page

```python
from pathlib import Path

number = 6 * 7
```

```python
print(number)
# → 42
Path("there").touch()
```

```console
$ ls
there
$ echo "took 3 ms" && \\
    echo "from /tmp/a/file"
took 12 ms
from /srv/file
$ echo one two three
one … three
$ false || echo "error: no"
error: no
```

```python title="twice.py"
import sys

print(2 * int(sys.argv[1]))
```

```console
$ python twice.py 21
42
```
"""

WRONG = {
    "an exception": ("6 * 7", "6 / 0", 'page.md", line 6'),
    "other output": ("# → 42", "# → 43", "printed ['42']"),
    "more output": ("# → 42", "# → 42\n# → 43", "printed ['42']"),
    "other output of a command": ("$ ls\nthere", "$ ls\nelsewhere", "printed\nthere"),
    "output that the page lacks": ("$ ls\nthere", "$ ls\nthere\nmore", "printed\nthere"),
    "less output than there is": ("took 12 ms\nfrom /srv/file", "took 12 ms", "from /tmp/a/file"),
    "a command that fails": ("$ ls\nthere", "$ ls\nthere\n$ false", "$ false"),
}


def play(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    page = folder / "page.md"
    page.write_text(text, encoding="utf-8")
    (folder / "empty").mkdir()
    command = [sys.executable, str(PLAYER), str(page)]
    return subprocess.run(command, cwd=folder / "empty", capture_output=True, text=True)


def test_a_good_page_passes(tmp_path: Path) -> None:
    """Blocks share a namespace and a folder; numbers and folders may differ, … is any text."""
    played = play(tmp_path, GOOD)
    assert played.returncode == 0, played.stderr


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_page_fails(case: str, tmp_path: Path) -> None:
    """A page that does something else than it says fails, and the failure tells what and where."""
    right, wrong, told = WRONG[case]
    played = play(tmp_path, GOOD.replace(right, wrong))
    assert played.returncode == 1
    assert told in played.stderr
    assert "This was the block at" in played.stderr


SITE = """<html><body><h1 id="top-of-it">A page</h1>
<a href="other.html#part">there</a> <a href="https://example.com/">elsewhere</a>
<a href="sub/">a folder</a> <a href="#top-of-it">here</a> <a href="/other.html">from the root</a>
<img src="data:image/png;base64,">
</body></html>"""

BROKEN = {
    "a page": ("other.html#part", "none.html", "index.html links to none.html, which is not there"),
    "an anchor": (
        "#part",
        "#none",
        "index.html links to other.html#none, where that anchor is not",
    ),
    "an anchor of a folder's page": (
        'href="sub/"',
        'href="sub/#none"',
        "index.html links to sub/#none, where that anchor is not",
    ),
    "a script from elsewhere": (
        "<img src",
        '<script src="https://example.com/x.js"></script><img src',
        "index.html loads https://example.com/x.js",
    ),
    "a font from elsewhere": (
        "<img src",
        '<link href="//example.com/font.css"><img src',
        "index.html loads //example.com/font.css",
    ),
}


def build(site: Path, text: str) -> list[str]:
    (site / "sub").mkdir()
    (site / "sub" / "index.html").write_text("<p>")
    (site / "other.html").write_text('<p id="part">')
    (site / "index.html").write_text(text)
    return list(problems(site))


def test_a_good_site_has_no_problems(tmp_path: Path) -> None:
    """Links between pages, to anchors, to folders, and links out of the site are fine."""
    assert build(tmp_path, SITE) == []


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_site_has_a_problem(case: str, tmp_path: Path) -> None:
    """A link that leads nowhere, and anything loaded from another host, is named."""
    right, wrong, told = BROKEN[case]
    assert build(tmp_path, SITE.replace(right, wrong)) == [told]
