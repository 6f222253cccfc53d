import sys

import ollama
from files import write_file

messages = [{"role": "user", "content": sys.argv[1]}]
while True:
    text, calls = "", []
    for part in ollama.chat(model="demo", messages=messages, tools=[write_file], stream=True):
        text += part.message.content or ""
        calls += part.message.tool_calls or []
    print(text)
    if not calls:
        break
    messages.append({"role": "assistant", "content": text, "tool_calls": calls})
    messages += [
        {"role": "tool", "content": write_file(**call.function.arguments)} for call in calls
    ]
