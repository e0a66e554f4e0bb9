"""The MongoDB backend of buddy-memory. Import its classes from ``buddy.memory.v2.db.mongodb`` (or
``buddy.memory.db.mongodb`` for version 1), or open it as ``mongodb://host/database``."""
