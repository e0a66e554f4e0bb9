"""The memory service of Google's Agent Development Kit in any buddy-memory database."""

from buddy_memory_adk.memory_service import BuddyMemoryService

__all__ = ["BuddyMemoryService"]
