import sys

from agents import Agent, Runner, function_tool, set_tracing_disabled
from files import write_file

set_tracing_disabled(True)
agent = Agent(name="Writer", model="demo", tools=[function_tool(write_file)])
print(Runner.run_sync(agent, sys.argv[1]).final_output)
