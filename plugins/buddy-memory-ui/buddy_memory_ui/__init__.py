"""A page to look into any buddy-memory store: on this machine, for who has the link."""

from buddy_memory_ui.app import make_app

__all__ = ["make_app"]
