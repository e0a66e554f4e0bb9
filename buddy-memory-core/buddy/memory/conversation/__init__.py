"""From conversations to memories: what Memory, AgentMemory and Agent have in common.

``messages`` and ``history`` are what was said, ``models`` asks a chat model, ``extraction`` and
``summary`` turn a conversation into memories and a summary, ``search`` finds memories, and
``manager`` does all of it on a database, once, for sync and async and both versions of the API.
"""
