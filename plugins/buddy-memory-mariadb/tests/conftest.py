"""One server for each test process."""

from __future__ import annotations

from tests.servers import mariadb

# MariaDB comes from Debian's packages; where there is none, ./run test says so.
collect_ignore = [] if mariadb.available() else ["test_mariadb.py"]
