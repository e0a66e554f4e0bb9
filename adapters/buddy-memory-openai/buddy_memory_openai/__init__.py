"""Sessions of the OpenAI Agents SDK in any buddy-memory database."""

from buddy_memory_openai.session import BuddySession

__all__ = ["BuddySession"]
