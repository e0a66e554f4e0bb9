"""Firestore, version 2: see the distribution buddy-memory-firestore."""

from buddy.memory.facade import not_installed

try:
    from buddy_memory_firestore.v2 import AsyncFirestoreMemoryDb, FirestoreMemoryDb
except ModuleNotFoundError as error:
    raise not_installed("buddy-memory-firestore", error) from error

__all__ = ["AsyncFirestoreMemoryDb", "FirestoreMemoryDb"]
