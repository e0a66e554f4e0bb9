"""What a page takes for granted: programs that run before it, in the same folder."""

from pathlib import Path

PLUGINS = Path(__file__).parents[2] / "docs" / "plugins"

SETUPS = {
    "docs/cli.md": """
from buddy.memory import open_memory_db
from buddy.memory.v2.db.schema import MemoryRow

with open_memory_db("sqlite:///memory.db") as db:
    db.upsert_memory(MemoryRow({"memory": "Likes green tea."}, user_id="ann"))
""",
    "docs/moving-data.md": """
from buddy.memory import open_memory_db
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow

with open_memory_db("sqlite:///dev.db") as db:
    for user in ("ann", "bob"):
        db.upsert_memory(MemoryRow({"memory": "Likes green tea."}, user_id=user))
        db.upsert_summary(SummaryRow({"summary": "On tea."}, f"session of {user}", user))
""",
    # What an installation of the plugin would leave, the entry points included.
    "docs/plugins/buddy-memory-lmdb/README.md": f"""
import os
import zipfile
from hatchling.build import build_wheel

here = os.getcwd()
os.chdir({str(PLUGINS / "buddy-memory-lmdb")!r})
zipfile.ZipFile(os.path.join(here, build_wheel(here))).extractall(here)
""",
}
