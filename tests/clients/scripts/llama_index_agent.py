import asyncio
import sys

from files import write_file
from llama_index.core.agent.workflow import FunctionAgent
from pointed import model


async def main() -> None:
    print(await FunctionAgent(tools=[write_file], llm=model).run(sys.argv[1]))


asyncio.run(main())
