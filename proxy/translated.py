"""How litellm is asked in each protocol: its function, what it may be given, and its answers.

litellm would also take a destination, keys and other messages from the body, and those are not the
client's to choose: nothing is passed on but what the protocol itself knows.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Translated:
    """One protocol."""

    function: str
    """Its name in litellm, with dots."""
    parameters: frozenset[str]
    """What of the body is passed on."""
    event: Callable[[Any], bytes]
    """A piece of a streamed answer as it goes to the client."""
    done: bytes = b""
    """What ends a stream."""

    def allowed(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """What of a request's body is passed on."""
        return {key: value for key, value in body.items() if key in self.parameters}

    def ask(self, litellm: Any) -> Callable[..., Any]:
        """The function itself."""
        found: Any = litellm
        for name in self.function.split("."):
            found = getattr(found, name)
        asked: Callable[..., Any] = found
        return asked


def whole(answer: Any) -> bytes:
    """An answer in one piece."""
    if isinstance(answer, Mapping):
        return json.dumps(answer).encode()
    told: str = answer.model_dump_json(exclude_unset=True)
    return told.encode()


def _chunk(piece: Any) -> bytes:
    return b"data: " + whole(piece) + b"\n\n"


def _named(piece: Any) -> bytes:
    told = json.loads(piece.model_dump_json(exclude_none=True))
    return f"event: {told.get('type')}\ndata: {json.dumps(told)}\n\n".encode()


def _framed(piece: Any) -> bytes:
    """litellm frames the events of Messages itself."""
    return piece if isinstance(piece, bytes) else str(piece).encode()


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


TRANSLATED: Mapping[str, Translated] = {
    "/chat/completions": Translated(
        "acompletion",
        _names(
            "messages stream stream_options n tools tool_choice parallel_tool_calls functions"
            " function_call temperature top_p max_tokens max_completion_tokens stop seed user"
            " response_format logprobs top_logprobs logit_bias presence_penalty frequency_penalty"
            " reasoning_effort modalities prediction"
        ),
        _chunk,
        b"data: [DONE]\n\n",
    ),
    "/embeddings": Translated(
        "aembedding", _names("input dimensions encoding_format user"), _chunk
    ),
    "/messages": Translated(
        "anthropic.messages.acreate",
        _names(
            "messages system max_tokens stream tools tool_choice temperature top_p top_k"
            " stop_sequences thinking"
        ),
        _framed,
    ),
    "/responses": Translated(
        "aresponses",
        _names(
            "input instructions stream tools tool_choice parallel_tool_calls temperature top_p"
            " max_output_tokens reasoning text truncation"
        ),
        _named,
    ),
}
"""By the path below the API root."""
