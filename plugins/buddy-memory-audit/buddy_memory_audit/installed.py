"""What the entry point names: the plugin, on the file of the environment.

Without a file this import fails, and with it the opening of every database: nothing is done
unseen by mistake.
"""

from buddy_memory_audit.log import AuditLog

plugin = AuditLog.from_environment()
