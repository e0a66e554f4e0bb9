"""PyInstaller follows imports, and a backend is imported by its name in a config string only: take
what the entry points of all installed distributions name, and the metadata that say so."""

from PyInstaller.utils.hooks import collect_entry_point, collect_submodules

datas = []
hiddenimports = ["snowballstemmer"]
for group in (
    "buddy.memory.db",
    "buddy.memory.v2.db",
    "buddy.memory.v2.db.async",
    "buddy.memory.plugins",
    "buddy.memory.commands",
):
    found, modules = collect_entry_point(group)
    datas += found
    # A backend's class imports parts of its distribution when they are needed.
    hiddenimports += [
        name for module in modules for name in collect_submodules(module.split(".")[0])
    ]
