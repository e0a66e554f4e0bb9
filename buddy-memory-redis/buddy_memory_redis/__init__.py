"""The Redis and Valkey backend of buddy-memory. Import its classes from
``buddy.memory.v2.db.redis``, or open it as ``redis://localhost:6379/0``."""
