"""What a page takes for granted: programs that run before it, in the same folder."""

from __future__ import annotations

from pathlib import Path

_ROOT = Path(__file__).parents[2]
_OLD = _ROOT / "tests" / "fixtures" / "legacy" / "sqlite_buddy300_v2.db"

# Stand-ins for SDKs, as strict about their arguments as those are: no page calls a hosted model.
_SDKS = '''
from pathlib import Path

Path("openai.py").write_text("""
from types import SimpleNamespace as Made


class OpenAI:
    def __init__(self):
        self.chat = Made(completions=self)

    def create(self, *, model, messages):
        assert messages
        return Made(choices=[Made(message=Made(content="Hello to you."))])


""")
Path("anthropic.py").write_text("""
from types import SimpleNamespace as Made


class Anthropic:
    def __init__(self):
        self.messages = self

    def create(self, *, model, max_tokens, system, messages):
        assert {m["role"] for m in messages} <= {"user", "assistant"}
        return Made(content=[Made(type="text", text="Hello to you.")])
""")
'''

_WRITTEN = {
    "docs/models.md": _SDKS,
    "docs/cli.md": """
from buddy.memory import open_memory_db
from buddy.memory.v2.db.schema import MemoryRow

with open_memory_db("sqlite:///memory.db") as db:
    db.upsert_memory(MemoryRow({"memory": "Likes green tea."}, user_id="ann"))
""",
    "docs/moving-data.md": f"""
import shutil
from buddy.memory import open_memory_db
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow

with open_memory_db("sqlite:///dev.db") as db:
    for user in ("ann", "bob"):
        db.upsert_memory(MemoryRow(dict(memory="Likes green tea."), user_id=user))
        db.upsert_summary(SummaryRow(dict(summary="On tea."), "session of " + user, user))
shutil.copy({str(_OLD)!r}, "old.db")
""",
}

# Leaves what an installation would, the entry points included.
_INSTALL = """
import os
import zipfile
from hatchling.build import build_wheel

here = os.getcwd()
os.chdir({folder!r})
zipfile.ZipFile(os.path.join(here, build_wheel(here))).extractall(here)
"""


def setup(page: str) -> str | None:
    """Return the program that runs before a page, or None. An example backend is found by its
    entry points, so it is installed; hooks are not, since they would change every database."""
    folder = (_ROOT / page).parent
    if page.startswith("plugins/"):
        project = (folder / "pyproject.toml").read_text(encoding="utf-8")
        return _INSTALL.format(folder=str(folder)) if "buddy.memory.v2.db" in project else None
    return _WRITTEN.get(page)
