import sys

from files import write_file
from pointed import model
from pydantic_ai import Agent

print(Agent(model, tools=[write_file]).run_sync(sys.argv[1]).output)
