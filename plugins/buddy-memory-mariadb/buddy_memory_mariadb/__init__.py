"""An example backend of buddy-memory: memories in MariaDB, opened as ``mariadb://user@host/db``."""
