import sys

import openai
from files import FUNCTION, written

client = openai.OpenAI()
items = [{"role": "user", "content": sys.argv[1]}]
while True:
    with client.responses.stream(
        model="demo", input=items, tools=[{"type": "function", "strict": True, **FUNCTION}]
    ) as stream:
        response = stream.get_final_response()
    print(response.output_text)
    calls = [item for item in response.output if item.type == "function_call"]
    if not calls:
        break
    items += [call.model_dump(exclude={"parsed_arguments"}) for call in calls]
    items += [
        {"type": "function_call_output", "call_id": call.call_id, "output": written(call.arguments)}
        for call in calls
    ]
