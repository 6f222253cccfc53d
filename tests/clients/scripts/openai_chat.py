import sys

import openai
from files import FUNCTION, written

client = openai.OpenAI()
messages = [{"role": "user", "content": sys.argv[1]}]
while True:
    with client.chat.completions.stream(
        model="demo", messages=messages, tools=[{"type": "function", "function": FUNCTION}]
    ) as stream:
        message = stream.get_final_completion().choices[0].message
    print(message.content or "")
    if not message.tool_calls:
        break
    messages.append(message.model_dump(exclude_none=True))
    messages += [
        {"role": "tool", "tool_call_id": call.id, "content": written(call.function.arguments)}
        for call in message.tool_calls
    ]
