"""What the entry point names: the plugin, on the global providers."""

from buddy_memory_opentelemetry import Telemetry

plugin = Telemetry()
