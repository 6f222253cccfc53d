import sys

from files import write_file
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from pointed import model

write = tool(write_file)
asking = model.bind_tools([write])
messages = [HumanMessage(sys.argv[1])]
while True:
    chunks = list(asking.stream(messages))
    message = chunks[0]
    for chunk in chunks[1:]:
        message += chunk
    print(message.content)
    if not message.tool_calls:
        break
    messages += [message, *(write.invoke(call) for call in message.tool_calls)]
