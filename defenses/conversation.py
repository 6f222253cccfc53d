"""What is screened, however it came: messages a model is about to read, snippets it wrote.

Nothing here knows a provider's format; `proxy/wire` fills these types. A message's digest covers
all that a detector may look at, so equal digests mean equal findings.
"""

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Literal


class Role(StrEnum):
    """Who speaks. `developer` counts as `system`; `tool` is whatever a tool brought back."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message of a conversation."""

    role: Role
    text: str
    """All readable text: parts joined by newlines, arguments of an assistant's tool calls last."""
    name: str | None = None
    """The tool that answered, or the speaker's name, where the client gives one."""
    unread: tuple[str, ...] = ()
    """Kinds of content that no detector reads: `image`, `audio`, `file`, `reasoning`, `other`."""
    task: str = ""
    """What the user asked for last, where a tool's message may be read in its light; else empty."""

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 over role, name, text and task."""
        return digest(self.role.value, self.name or "", self.text, self.task)


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """All that the model is about to read, oldest first."""

    messages: tuple[Message, ...]
    model: str = ""

    @property
    def history(self) -> int:
        """Index of the first message of the current turn: what follows the last assistant one."""
        for index in range(len(self.messages) - 1, -1, -1):
            if self.messages[index].role is Role.ASSISTANT:
                return index + 1
        return 0


Origin = Literal["fence", "unfenced", "code_tag", "search_replace", "patch", "tool", "shell"]


@dataclass(frozen=True, kw_only=True)
class Snippet:
    """One piece of code on its way to the client."""

    code: str
    language: str | None
    """Lower-case canonical name (`python`, `javascript`, `bash`, `text` …); None where unknown."""
    origin: Origin
    path: str | None = None
    """The file it is meant for, where the answer names one."""
    context: str = ""
    """Code that surrounds a fragment, where the request or the patch gives it."""
    focus: tuple[int, int] | None = None
    """First and last line, from 1, of what is judged, where the rest is the user's own code."""
    first_line: int = field(default=1, compare=False)
    """Line of the answer's text (or of the tool argument) on which the code starts, from 1."""

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 over everything that a checker may look at."""
        focus = "" if self.focus is None else f"{self.focus[0]}-{self.focus[1]}"
        return digest(self.language or "", self.path or "", self.context, focus, self.code)


def digest(*parts: str) -> str:
    """Hex SHA-256 of length-prefixed parts; lone surrogates are kept apart, never an error."""
    total = hashlib.sha256()
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        total.update(len(raw).to_bytes(8, "little"))
        total.update(raw)
    return total.hexdigest()
