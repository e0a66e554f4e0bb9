"""What each operation costs: statements (or commands), round trips, bytes sent, bytes received.

To set new numbers, look at what the test says that it found.
"""

from __future__ import annotations

from tests.work.relay import Work

EXPECTED: dict[str, dict[str, Work]] = {
    "sqlite": {
        "upsert, new row": Work(1, 0, 12_360),
        "upsert, update": Work(1, 0, 4_120),
        "exists": Work(1),
        "read by id": Work(1),
        "newest 20": Work(1),
        "page 100 by 50": Work(3),
        "count": Work(1),
        "delete": Work(1, 0, 12_360),
        "bulk upsert of 200": Work(3, 0, 70_040),
        "bulk delete of 200": Work(202, 0, 74_160),
    },
    "postgres": {
        "upsert, new row": Work(1, 1, 211, 160),
        "upsert, update": Work(1, 1, 211, 218),
        "exists": Work(1, 1, 63, 71),
        "read by id": Work(1, 1, 54, 407),
        "newest 20": Work(1, 1, 63, 4_272),
        "page 100 by 50": Work(3, 3, 205, 20_924),
        "count": Work(1, 1, 55, 72),
        "delete": Work(1, 1, 54, 30),
        "bulk upsert of 200": Work(3, 3, 22_632, 7_173),
        "bulk delete of 200": Work(1, 1, 2_524, 37),
    },
    "redis": {
        "upsert, new row": Work(1, 1, 710, 61),
        "upsert, update": Work(1, 1, 456, 65),
        "exists": Work(1, 1, 76, 149),
        "read by id": Work(1, 1, 76, 149),
        "newest 20": Work(1, 1, 319, 3_745),
        "page 100 by 50": Work(3, 3, 991, 18_716),
        "count": Work(1, 1, 294, 6),
        "delete": Work(1, 1, 574, 10),
        "bulk upsert of 200": Work(11, 2, 34_404, 63),
        "bulk delete of 200": Work(12, 3, 27_377, 8_664),
    },
    "mongo": {
        "upsert, new row": Work(1, 1, 646, 297),
        "upsert, update": Work(1, 1, 646, 275),
        "exists": Work(1, 1, 275, 248),
        "read by id": Work(1, 1, 227, 490),
        "newest 20": Work(1, 1, 254, 6_055),
        "page 100 by 50": Work(3, 3, 816, 29_895),
        "count": Work(1, 1, 315, 229),
        "delete": Work(1, 1, 279, 149),
        "bulk upsert of 200": Work(1, 1, 80_110, 7_669),
        "bulk delete of 200": Work(1, 1, 13_510, 149),
    },
}
