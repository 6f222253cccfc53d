"""What other red-team tools tried, read as attacks: results of promptfoo, conversations of PyRIT.

Only the words of the attacker are taken, with what the tool calls their subject. Whether an attack
got past is not believed but asked again, of the detectors that serve.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bluecode.defenses import constitution, terms
from bluecode.defenses.knowledge import KnowledgeBase, Task
from bluecode.defenses.redteam.attack import Attack
from bluecode.defenses.redteam.harvest import Candidate, HarvestError, foreign
from bluecode.defenses.redteam.target import Detectors

_TASKS: Final[tuple[tuple[Task, re.Pattern[str]], ...]] = (
    ("bias", re.compile(r"bias|discriminat|stereotyp|fairness|\bhate", re.I)),
    ("injection", re.compile(r"inject|jailbreak|hijack|extraction|overrid|prompt.?leak", re.I)),
    ("malice", re.compile(r"malic|malware|cyber|harm|crim|phish|exploit|fraud|illegal", re.I)),
)
"""What a tool's name for a subject says about the risk; the first that fits."""
_KINDS: Final = ("pluginId", "harmCategory", "strategyId")
"""Where promptfoo says what an attack is about."""
_LONGEST: Final = 20_000
"""Characters of an attack that is taken; longer ones are left out."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One text that a tool sent."""

    tool: str
    text: str
    subject: str
    """What the tool calls the kind of attack; empty where it says nothing."""

    @property
    def task(self) -> Task | None:
        """The risk that the subject is about; None where nothing tells."""
        return next((task for task, words in _TASKS if words.search(self.subject)), None)


def read(text: str) -> list[Tried]:
    """Attacks out of a file of results, none twice. Raises `HarvestError` for another form."""
    found = dict.fromkeys(item for item in _read(_parsed(text)) if len(item.text) <= _LONGEST)
    if not found:
        raise HarvestError("the results hold no attack in the form of promptfoo or PyRIT.")
    return list(found)


def _parsed(text: str) -> Any:
    """JSON, or JSON by lines."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return [json.loads(line) for line in text.split("\n") if line.strip()]
    except ValueError as error:
        raise HarvestError("the results are no JSON.") from error


def _read(given: Any) -> Iterator[Tried]:
    if isinstance(given, Mapping):
        inner = given.get("results", given.get("conversations"))
        yield from _read(inner) if inner is not None else ()
        return
    for item in given if isinstance(given, Sequence) and not isinstance(given, str) else ():
        if isinstance(item, Mapping):
            yield from _promptfoo(item) if "prompt" in item else _pyrit(item)


def _promptfoo(item: Mapping[str, Any]) -> Iterator[Tried]:
    """A result of promptfoo: the prompt as it was sent, and the plugin that made it."""
    prompt = item["prompt"]
    raw = prompt.get("raw") if isinstance(prompt, Mapping) else prompt
    if isinstance(raw, str) and (said := _last_said(raw)).strip():
        test = item.get("testCase")
        inner = test.get("metadata") if isinstance(test, Mapping) else None
        told = [part for part in (item.get("metadata"), inner) if isinstance(part, Mapping)]
        kinds = [str(part[key]) for part in told for key in _KINDS if part.get(key)]
        yield Tried("promptfoo", said, " ".join(dict.fromkeys(kinds)))


def _last_said(raw: str) -> str:
    """The user's last words where a prompt is a conversation in JSON."""
    try:
        messages = json.loads(raw)
    except ValueError:
        return raw
    said = [
        item["content"]
        for item in (messages if isinstance(messages, list) else ())
        if isinstance(item, Mapping)
        and item.get("role") == "user"
        and isinstance(item.get("content"), str)
    ]
    return said[-1] if said else raw


def _pyrit(item: Mapping[str, Any]) -> Iterator[Tried]:
    """A message of PyRIT's memory; the words as they were sent, after its converters."""
    if isinstance(pieces := item.get("message_pieces"), list):
        yield from _read(pieces)
        return
    text = item.get("converted_value") or item.get("original_value")
    if item.get("role") == "user" and isinstance(text, str) and text.strip():
        kinds = item.get("targeted_harm_categories") or item.get("labels") or ""
        yield Tried("PyRIT", text, json.dumps(kinds) if not isinstance(kinds, str) else kinds)


async def candidates(
    tried: Sequence[Tried],
    detectors: Detectors,
    base: KnowledgeBase,
    *,
    day: str,
    task: Task | None = None,
) -> tuple[list[Candidate], int]:
    """What the detectors let pass, as candidates, and how many were left out for want of a task.

    Category and principle are those of the nearest unsafe case: whoever approves looks at them.
    Such candidates have no neighbour, so no gate accepts them. Raises `TargetError`."""
    found: dict[str, Candidate] = {}
    unknown = 0
    for item in tried:
        if (about := item.task or task) is None:
            unknown += 1
            continue
        near = base.nearest(terms.read(item.text), about, 1).unsafe
        attack = Attack(
            task=about,
            category=near[0].case.category if near else "imported",
            principle=near[0].case.principle if near else constitution.shipped().of(about)[0].id,
            text=item.text,
        )
        if (await detectors.hear(attack)).passed:
            new = foreign(attack, item.tool, day)
            found[new.case.id] = new
    return list(found.values()), unknown
