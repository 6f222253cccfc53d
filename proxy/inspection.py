"""Files instead of conversations: what `bluecode check` and `bluecode screen` look at.

The verdicts come from the same engine as the proxy's, so a file gets the verdict that an answer
with the same code would get.
"""

import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bluecode.defenses import carriers
from bluecode.defenses import language as languages
from bluecode.defenses.conversation import Message, Role, Snippet
from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Action, Finding, Verdict
from bluecode.proxy.config import ConfigError
from bluecode.proxy.engine import Engine

STDIN = "stdin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file, or standard input, as text."""

    path: str
    text: str

    @classmethod
    def read(cls, name: str) -> "Source":
        """Read a file, or standard input for `-`. Raises `ConfigError`."""
        try:
            raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
            text = raw.decode("utf-8-sig")
        except OSError as error:
            raise ConfigError(f"`{name}` cannot be read: {error.strerror or error}.") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"`{name}` is not UTF-8 text; give files of source code.") from error
        return cls(path=STDIN if name == "-" else name, text=text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """The verdict on one piece of a file."""

    source: Source
    verdict: Verdict
    language: str | None = None
    first_line: int = 1
    """Line of the file on which the piece begins."""

    def lines_of(self, finding: Finding) -> tuple[int, int] | None:
        """First and last line in the file."""
        if finding.span is None:
            return None
        first, last = finding.span
        return first + self.first_line - 1, last + self.first_line - 1


async def check(
    engine: Engine, sources: Sequence[Source], language: str | None = None
) -> AsyncIterator[Inspected]:
    """Check each piece of code of each source."""
    for source in sources:
        for snippet in snippets_of(source, language):
            yield Inspected(
                source=source,
                verdict=await engine.check(snippet),
                language=snippet.language,
                first_line=snippet.first_line,
            )


async def screen(engine: Engine, sources: Sequence[Source], role: Role) -> AsyncIterator[Inspected]:
    """Screen each source as one message."""
    for source in sources:
        message = Message(role=role, text=source.text)
        yield Inspected(source=source, verdict=await engine.screen(message))


def canonical(name: str | None) -> str | None:
    """The language that the user means. Raises `ConfigError`."""
    if name is None:
        return None
    known = languages.canonical(name)
    if known is None:
        raise ConfigError(f"`--language` is {name!r}, a language that BlueCode has no name for.")
    return known


def snippets_of(source: Source, language: str | None) -> Sequence[Snippet]:
    """The code of markdown and diffs, and everything else as it stands."""
    named = None if source.path == STDIN else source.path
    spoken = language or (languages.of_path(named) if named else None)
    fenced = spoken is None and any(
        line.lstrip().startswith("```") for line in source.text.splitlines()
    )
    if spoken == "markdown" or fenced:
        return carriers.in_text(source.text)
    if spoken == "diff":
        return carriers.in_input(source.text)
    decided = language or languages.decide(source.text, path=named)
    return [Snippet(code=source.text, language=decided, origin="tool", path=named)]


def status_of(policy: Policy, inspected: Sequence[Inspected]) -> int:
    """1 where a finding blocks, 3 where only what went unseen does, else 0."""
    blocking = [item.verdict for item in inspected if item.verdict.blocks]
    for verdict in blocking:
        if any(policy.action_for(finding) is Action.BLOCK for finding in verdict.findings):
            return 1
    return 3 if blocking else 0
