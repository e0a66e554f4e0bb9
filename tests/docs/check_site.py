"""Check a built site: ``python check_site.py SITE``.

Every link inside it must lead to a page and an anchor that are there, and no page may load anything
from another host.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

LOADING = {"audio", "embed", "iframe", "img", "link", "object", "script", "source", "video"}
"""Elements whose address a browser follows by itself."""


class Page(HTMLParser):
    """The anchors of a page, and its addresses with the elements that hold them."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors = {"", "top"}
        self.addresses: list[tuple[str, str]] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element is and points to."""
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        self.addresses += [(tag, given[name]) for name in ("href", "src") if name in given]


def problems(site: Path) -> Iterator[str]:
    """Yield what is wrong, one line each."""
    pages = {path: Page(path) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        for tag, address in page.addresses:
            name = path.relative_to(site)
            parts = urlsplit(address)
            if parts.scheme == "data":
                continue
            if parts.scheme or parts.netloc:
                if tag in LOADING:
                    yield f"{name} loads {address}"
                continue
            target, anchor = urldefrag(unquote(address))
            # The page for what is not found has no place of its own: it links from the root.
            base = site if target.startswith("/") else path.parent
            file = (base / target.lstrip("/")).resolve() if target else path
            file = file / "index.html" if file.is_dir() else file
            if not file.exists():
                yield f"{name} links to {address}, which is not there"
            elif file in pages and anchor not in pages[file].anchors:
                yield f"{name} links to {address}, where that anchor is not"


def main(site: Path) -> int:
    """Print what is wrong; 1 when anything is."""
    found = list(problems(site.resolve()))
    print("\n".join(found) or f"{site}: all links lead somewhere, nothing comes from elsewhere")  # noqa: T201
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
