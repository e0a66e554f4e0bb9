"""A small agent: a model, and a memory that it is told about and that learns from it.

agent = Agent(model=my_model, memory="sqlite:///memory.db", enable_user_memories=True)
print(agent.run("I moved to Lisbon", user_id="ada").content)
"""

from buddy.agent.agent import Agent
from buddy.memory.conversation.history import RunResponse

__all__ = ["Agent", "RunResponse"]
