"""Real wheels: written by hand for the fake plugins, built by hatchling for our own."""

from __future__ import annotations

import subprocess
import sys
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from textwrap import dedent
from zipfile import ZipFile

ROOT = Path(__file__).parents[2]
_WHEEL = "Wheel-Version: 1.0\nGenerator: zoo\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def wheel(
    folder: Path,
    name: str,
    entry_points: str | bytes = "",
    modules: dict[str, str] | None = None,
    version: str = "1.0",
) -> Path:
    """Write a wheel with these entry points and modules into ``folder``; return its path."""
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    text = entry_points if isinstance(entry_points, bytes) else dedent(entry_points).encode()
    files = {f"{module}.py": dedent(source).encode() for module, source in (modules or {}).items()}
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files |= {f"{info}/METADATA": metadata.encode(), f"{info}/WHEEL": _WHEEL.encode()}
    if text:
        files[f"{info}/entry_points.txt"] = text
    record = [f"{path},sha256={_digest(content)},{len(content)}" for path, content in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    path = folder / f"{stem}-py3-none-any.whl"
    with ZipFile(path, "w") as archive:
        for file, content in files.items():
            archive.writestr(file, content)
    return path


def unpacked(folder: Path, *wheels: Path, metadata: bool = True) -> Path:
    """Unpack wheels into a folder, which is what installing these comes to; return the folder."""
    for path in wheels:
        with ZipFile(path) as archive:
            names = [n for n in archive.namelist() if metadata or ".dist-info/" not in n]
            archive.extractall(folder, names)
    return folder


def built(project: Path, folder: Path) -> Path:
    """Build a project's wheel with hatchling, as ``hatch build`` does; return its path."""
    return _hatchling(project, folder, "build_wheel")


def editable(project: Path, folder: Path) -> Path:
    """Build the wheel that ``pip install --editable`` would install; return its path."""
    return _hatchling(project, folder, "build_editable")


def _hatchling(project: Path, folder: Path, hook: str) -> Path:
    code = f"import sys, hatchling.build as b; print(b.{hook}(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        cwd=project,
        check=True,
        capture_output=True,
        text=True,
    )
    return folder / done.stdout.split()[-1]


def _digest(content: bytes) -> str:
    return urlsafe_b64encode(sha256(content).digest()).rstrip(b"=").decode()
