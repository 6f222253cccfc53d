"""An answer sent back with one more question behind it, in the protocols where that is simple."""

from collections.abc import Mapping
from typing import Any, Protocol

Json = Mapping[str, Any]


class Again(Protocol):
    """How a protocol asks again, and what came back in one piece."""

    def asked(self, payload: Json, said: str, question: str) -> dict[str, Any]:
        """The request once more, unstreamed, with the answer and the question behind it."""
        ...

    def text(self, answer: Json) -> str | None:
        """All that an answer says, or None where it is more than text."""
        ...


def _turns(said: str, question: str) -> list[dict[str, Any]]:
    return [{"role": "assistant", "content": said}, {"role": "user", "content": question}]


class ChatAgain:
    """Chat completions."""

    def asked(self, payload: Json, said: str, question: str) -> dict[str, Any]:
        kept = {key: value for key, value in payload.items() if key != "stream_options"}
        messages = [*payload["messages"], *_turns(said, question)]
        return {**kept, "messages": messages, "stream": False}

    def text(self, answer: Json) -> str | None:
        choices = answer.get("choices")
        first = choices[0] if isinstance(choices, list) and choices else None
        message = first.get("message") if isinstance(first, dict) else None
        if not isinstance(message, dict):
            return None
        content = message.get("content")
        calls = message.get("tool_calls") or message.get("function_call")
        return content if isinstance(content, str) and not calls else None


class MessagesAgain:
    """Anthropic's Messages."""

    def asked(self, payload: Json, said: str, question: str) -> dict[str, Any]:
        messages = [*payload["messages"], *_turns(said, question)]
        return {**payload, "messages": messages, "stream": False}

    def text(self, answer: Json) -> str | None:
        content = answer.get("content")
        if not isinstance(content, list):
            return None
        return _joined([part for part in content if not _is(part, *_THOUGHT)], "text")


class ResponsesAgain:
    """OpenAI's Responses."""

    def asked(self, payload: Json, said: str, question: str) -> dict[str, Any]:
        given = payload.get("input")
        before = [{"role": "user", "content": given}] if isinstance(given, str) else given or []
        kept = {key: value for key, value in payload.items() if key != "stream_options"}
        return {**kept, "input": [*before, *_turns(said, question)], "stream": False}

    def text(self, answer: Json) -> str | None:
        output = answer.get("output")
        if not isinstance(output, list):
            return None
        items = [item for item in output if not _is(item, "reasoning")]
        if not all(_is(item, "message") for item in items):
            return None
        contents = [item.get("content") for item in items]
        if not all(isinstance(content, list) for content in contents):
            return None
        return _joined([part for content in contents for part in content], "output_text")


_THOUGHT = ("thinking", "redacted_thinking")


def _is(part: Any, *kinds: str) -> bool:
    return isinstance(part, dict) and part.get("type") in kinds


def _joined(parts: list[Any], kind: str) -> str | None:
    """The texts of parts of one kind; None where there is another kind, or nothing."""
    texts = [part.get("text") if _is(part, kind) else None for part in parts]
    known = [text for text in texts if isinstance(text, str)]
    return "".join(known) if known and len(known) == len(texts) else None


AGAIN: Mapping[str, Again] = {
    "/chat/completions": ChatAgain(),
    "/messages": MessagesAgain(),
    "/responses": ResponsesAgain(),
}
"""By the path of the protocol's route."""
