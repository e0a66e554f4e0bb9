"""Sessions of the Claude Agent SDK in any buddy-memory database."""

from buddy_memory_claude.session_store import BuddySessionStore

__all__ = ["BuddySessionStore"]
