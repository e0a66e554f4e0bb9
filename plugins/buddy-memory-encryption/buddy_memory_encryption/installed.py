"""What the entry point names: the plugin, with the keys of the environment.

Without keys this import fails, and with it the opening of every database: nothing is stored plain
by mistake.
"""

from buddy_memory_encryption.plugin import Encryption

plugin = Encryption.from_environment()
