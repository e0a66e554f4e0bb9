"""For authors of backends: write a ``Store``, get both versions of the API, async and the rules.

``store.Store`` says what to implement; ``inmemory.InMemoryStore`` is the shortest complete example;
``buddy.memory.db.store_backed`` and ``buddy.memory.v2.db.store_backed`` hold the classes to derive
from.
"""
