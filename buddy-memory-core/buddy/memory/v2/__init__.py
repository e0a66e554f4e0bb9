"""Version 2 of the API: ``v2.memory`` for agents, ``v2.db`` for databases."""
