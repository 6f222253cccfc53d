import sys

import anthropic
from files import PARAMETERS, write_file

client = anthropic.Anthropic()
messages = [{"role": "user", "content": sys.argv[1]}]
tool = {"name": "write_file", "description": "Write a file", "input_schema": PARAMETERS}
while True:
    with client.messages.stream(
        model="demo", max_tokens=999, messages=messages, tools=[tool]
    ) as stream:
        message = stream.get_final_message()
    print("".join(block.text for block in message.content if block.type == "text"))
    calls = [block for block in message.content if block.type == "tool_use"]
    if not calls:
        break
    messages.append({"role": "assistant", "content": message.content})
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": write_file(**call.input)}
        for call in calls
    ]
    messages.append({"role": "user", "content": results})
