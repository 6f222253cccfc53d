import sys

from files import write_file
from google import genai
from google.genai import types

client = genai.Client()
settings = types.GenerateContentConfig(tools=[write_file])
chat = client.chats.create(model="gemini-2.5-pro", config=settings)
for chunk in chat.send_message_stream(sys.argv[1]):
    print(chunk.text or "", end="")
