"""An audit log: who did what to which rows, when, and with which result. Never what was in them."""

from buddy_memory_audit.chain import Verified, verify
from buddy_memory_audit.log import AuditLog, acting_as

__all__ = ["AuditLog", "Verified", "acting_as", "verify"]
