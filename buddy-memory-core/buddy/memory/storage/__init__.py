"""For authors of backends: write a ``Store``, get both versions of the API, async and the rules.

``store.Store`` says what to implement; ``inmemory.InMemoryStore`` is the shortest complete example;
``buddy.memory.db.stored`` and ``buddy.memory.v2.db.stored`` hold the classes to derive from.
"""
