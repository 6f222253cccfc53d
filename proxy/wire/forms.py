"""In which form a client takes what BlueCode has to say, where plain paragraphs would break it.

Assistants make requests beside the user's turns, for a title, a commit message or their memory.
They are screened like all others, but they are no turns, and what is said to the first two is one
line: it ends up in a list of chats, or in a repository. Who asked for JSON gets JSON.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bluecode.defenses.conversation import Role
from bluecode.proxy.wire.edits import unchanged
from bluecode.proxy.wire.wire import Request

Form = Callable[[str], str]
"""From a note to what the client gets."""
_VERBS = r"(?:generat|creat|craft|writ|output|repl|suggest|provid|produc|summari|com(?:e|ing)\b)\w*"
_TASK = re.compile(
    rf"\b{_VERBS}[^.\n\\]{{0,80}}\b(?:titles?|commit messages?|git commits?)\b|\btitle generator\b",
    re.I,
)
"""What the instructions of such a request say."""
_ASKED = re.compile(
    rf"\b{_VERBS}[^.\n]{{0,80}}\b(?:(?:title|name)\b[^.\n]{{0,60}}\b(?:conversation|chat|thread"
    r"|session|discussion)|commit message)\b",
    re.I,
)
"""What the user's message of one says, where there are no instructions: more, since people ask
for titles, too."""
_UPKEEP = re.compile(
    r"\bconversations?\b[^.\n]{0,80}\bmemor(?:y|ies)\b"
    r"|\bmemor(?:y|ies)\b[^.\n]{0,80}\bconversations?\b"
    r"|\b(?:summari[sz]|compact|condens)\w*[^.\n]{0,60}\b(?:conversation|chat)\b",
    re.I,
)
"""What the last message of a request says by which an agent looks after its memory."""
_FIRST = 600
"""Characters in which it is said."""
_LONGEST = 200


def says_title(text: str) -> bool:
    """Do instructions that begin so ask for a title or a commit message?"""
    return _may_be_side(begin := text[:_FIRST]) and _TASK.search(begin) is not None


def _may_be_side(begin: str) -> bool:
    """Could a pattern fit? Few requests hold these words, and patterns are dear."""
    told = begin.lower()
    return "title" in told or "commit" in told or "name" in told


def is_side(request: Request) -> bool:
    """Is this none of the user's turns? An agent's own request offers tools."""
    if request.payload.get("tools"):
        return False
    said = (*request.conversation.messages, *request.extras)
    told = any(says_title(message.text) for message in said if message.role is Role.SYSTEM)
    asked = [message.text[:_FIRST] for message in said if message.role is Role.USER][-1:]
    return told or any(_may_be_side(text) and _ASKED.search(text) for text in asked)


def is_upkeep(request: Request) -> bool:
    """Does an agent look after its memory here, with its tools or without? That is no turn, and
    what is said to it has the form that it has for the user."""
    last = request.conversation.messages[-1:]
    asked = [message.text[:_FIRST] for message in last if message.role is Role.USER]
    return any(_UPKEEP.search(text) is not None for text in asked)


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A form in which nothing can be said: the code that the client sent, and no warning."""

    code: str

    def __call__(self, note: str) -> str:
        return self.code


def form_for(request: Request, *, side: bool) -> Form:
    """What a note to this client looks like."""
    if (code := unchanged(request)) is not None:
        return Unchanged(code)
    if wants_json(request.payload):
        return in_json
    return one_line if side else str


def wants_json(payload: Mapping[str, Any]) -> bool:
    """Does a request of any protocol ask for an answer in JSON?"""
    return any(_is_json(asked) for asked in _formats(payload))


def _formats(payload: Mapping[str, Any]) -> Iterator[Any]:
    yield payload.get("response_format")  # chat completions
    yield payload.get("format")  # Ollama
    yield payload.get("output_format")  # Messages, at first
    for name in ("text", "output_config"):  # Responses, Messages
        inner = payload.get(name)
        yield inner.get("format") if isinstance(inner, dict) else None
    gemini = payload.get("generationConfig") or payload.get("generation_config")
    if isinstance(gemini, dict):
        yield gemini.get("responseMimeType")
        yield gemini.get("response_mime_type")


def _is_json(asked: Any) -> bool:
    if isinstance(asked, dict):  # Ollama takes a bare schema
        kind = asked.get("type")
        return kind in ("json_schema", "json_object") or "properties" in asked
    return asked in ("json", "application/json")


def in_json(note: str) -> str:
    """A note as a JSON object."""
    return json.dumps({"refusal": note}, ensure_ascii=False)


def one_line(note: str) -> str:
    """A note of several lines as one: what was done, and the first reason."""
    title, _, rest = note.partition("\n")
    reasons = (line[2:] for line in rest.splitlines() if line.startswith("- "))
    told = f"{title.strip('*').rstrip('.')}: {next(reasons, '')}".rstrip(": ")
    return told if len(told) <= _LONGEST else f"{told[:_LONGEST]}…"
