"""An example backend of buddy-memory: memories in LMDB, opened as ``lmdb:///folder``."""
