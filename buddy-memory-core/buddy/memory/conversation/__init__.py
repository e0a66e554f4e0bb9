"""From conversations to memories: what Memory, AgentMemory and Agent have in common.

``messages`` reads what was said and ``history`` keeps it, ``models`` asks a chat model,
``extraction`` and ``summary`` turn a conversation into memories and a summary. ``user_memories``
and ``manager`` do all of it on a database, once, for sync and async and both versions of the API;
``waits`` is what differs between sync and async.
"""
