"""The SQLite backend of buddy-memory. Import its classes from ``buddy.memory.v2.db.sqlite`` (or
``buddy.memory.db.sqlite`` for version 1), or open it as ``sqlite:///memory.db``."""
