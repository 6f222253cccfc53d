"""The registry of wire protocols; the routes come from it."""

from collections.abc import Mapping

from bluecode.proxy.wire.anthropic_messages import MessagesWire
from bluecode.proxy.wire.completions import CompletionsWire
from bluecode.proxy.wire.gemini import GeminiWire
from bluecode.proxy.wire.ollama import OllamaWire
from bluecode.proxy.wire.openai_chat import ChatWire
from bluecode.proxy.wire.openai_responses import ResponsesWire
from bluecode.proxy.wire.wire import Wire

WIRES: Mapping[str, Wire] = {
    "openai_chat": ChatWire(),
    "openai_responses": ResponsesWire(),
    "anthropic_messages": MessagesWire(),
    "completions": CompletionsWire(),
    "gemini": GeminiWire(),
    "ollama": OllamaWire(),
}
