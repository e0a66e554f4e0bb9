"""The PostgreSQL backend of buddy-memory. Import its classes from ``buddy.memory.v2.db.postgres``
(or ``buddy.memory.db.postgres`` for version 1), or open it as ``postgresql://…?table_name=…``."""
