import sys

import litellm
from files import FUNCTION, written
from pointed import completion

messages = [{"role": "user", "content": sys.argv[1]}]
while True:
    chunks = completion(
        messages=messages,
        tools=[{"type": "function", "function": FUNCTION}],
        stream=True,
    )
    message = litellm.stream_chunk_builder(list(chunks)).choices[0].message
    print(message.content or "")
    if not message.tool_calls:
        break
    messages.append(message.model_dump())
    messages += [
        {"role": "tool", "tool_call_id": call.id, "content": written(call.function.arguments)}
        for call in message.tool_calls
    ]
