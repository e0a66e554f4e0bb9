"""A Model Context Protocol server over any buddy-memory database."""

from buddy_memory_mcp.server import make_server

__all__ = ["make_server"]
