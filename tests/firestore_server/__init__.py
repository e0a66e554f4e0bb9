"""A strict Firestore: google.firestore.v1 over gRPC, with the rules of production.

Emulators are lenient: they answer queries that production refuses without a composite index and
store documents that production refuses. This server refuses them, so that a test that passes
here does not fail there. Each rule names the page of Google's documentation that it models:

    LIMITS   https://cloud.google.com/firestore/quotas
    SIZES    https://cloud.google.com/firestore/docs/storage-size
    INDEXES  https://cloud.google.com/firestore/docs/query-data/index-overview
    TYPES    https://cloud.google.com/firestore/docs/concepts/data-types
    PRICES   https://cloud.google.com/firestore/pricing
    RPC      https://cloud.google.com/firestore/docs/reference/rpc/google.firestore.v1

It runs as a process of its own (``python -m tests.firestore_server``), because a test process
that forks must not carry a gRPC server with it. ``process.FirestoreServer`` starts it, injects
faults and reads what was counted.
"""
