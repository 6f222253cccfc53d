import sys

from files import write_file
from pointed import model
from smolagents import ToolCallingAgent, tool

agent = ToolCallingAgent(tools=[tool(write_file)], model=model, max_steps=4)
print(agent.run(sys.argv[1]))
