"""LangGraph's long-term memory in any buddy-memory database."""

from buddy_memory_langgraph.buddy_store import BuddyStore

__all__ = ["BuddyStore"]
