"""Prompts of labelled sets and what each arm made of them, grouped, with what chance leaves open.

A prompt that an arm could not decide about is counted, and is neither right nor wrong: figures are
of those that were decided.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bluecode.defenses.arms import Look, Looked
from bluecode.defenses.conversation import Message, Role
from bluecode.defenses.detectors import obfuscation
from bluecode.defenses.intervals import Figure, wilson
from bluecode.defenses.verdict import Action, Category

TASKS: Final[Mapping[str, Category]] = {
    "bias": Category.BIAS,
    "malicious": Category.MALICE,
    "malice": Category.MALICE,
    "injection": Category.INJECTION,
}
"""Names of tasks in labelled sets, and the category that a finding must have to count."""
_KINDS: Final = ("category", "family", "attribute", "type", "attack", "probe")
"""Where sets say what kind of case a record is, the first that is there."""
NONE: Final = "none"
"""The kind of a record whose set names none."""
_SCRIPTS: Final = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "CYRILLIC", "ARABIC", "DEVANAGARI")
_LETTER = re.compile(r"[^\W\d_]")


@dataclass(frozen=True, slots=True)
class Prompt:
    """One record."""

    message: Message
    source: str
    category: Category
    unsafe: bool
    kind: str
    """The set's own word for the kind of case, or `none`."""
    language: str
    """The set's word for the human language, or the script in which most letters are."""
    hiding: str
    """How the text hides something, or `none`."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A record, less its text, and what each arm made of it."""

    source: str
    category: Category
    unsafe: bool
    kind: str
    language: str
    hiding: str
    looked: Mapping[str, Looked] = field(default_factory=dict)


def read(record: Mapping[str, Any], source: str) -> Prompt:
    """A record of a prompt task, screened as the message that it would be."""
    role = Role.TOOL if record.get("kind") == "tool_output" else Role.USER
    text, extra = str(record["text"]), record.get("extra") or {}
    kind = next((str(extra[name]) for name in _KINDS if extra.get(name)), NONE)
    tricks = sorted(obfuscation.normalise(text).tricks)
    return Prompt(
        message=Message(role=role, text=text, task=str(extra.get("task") or "")),
        source=source,
        category=TASKS[str(record["task"])],
        unsafe=bool(record["label"]),
        kind=kind,
        language=str(extra.get("language") or script(text)),
        hiding=", ".join(tricks) or NONE,
    )


def script(text: str) -> str:
    """The script of most letters of a text's beginning, as Unicode names it."""
    counted: Counter[str] = Counter()
    for letter in _LETTER.findall(text[:2_000]):
        name = "LATIN" if letter.isascii() else unicodedata.name(letter, "LATIN").split()[0]
        counted[name if name in _SCRIPTS else "LATIN"] += 1
    return f"{counted.most_common(1)[0][0].lower()} script" if counted else "no letters"


async def judge(prompt: Prompt, arms: Mapping[str, Look]) -> Judged:
    """What each arm makes of a record."""
    looked = {name: await look(prompt.message, prompt.category) for name, look in arms.items()}
    return Judged(
        prompt.source,
        prompt.category,
        prompt.unsafe,
        prompt.kind,
        prompt.language,
        prompt.hiding,
        looked,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What one arm is worth on some records of one category."""

    name: str
    category: Category
    arm: str
    unsafe: int
    safe: int
    figures: Mapping[str, Mapping[str, Figure | None]]
    """By `warn` and `block`: recall, false-positive rate, precision; F1 has no interval."""
    f1: Mapping[str, float | None]
    undecided: int
    """Records about which the arm has no answer; the counts above are without them."""
    partial: int
    """Records of which not all was looked at."""


KEYS: Final[Mapping[str, Callable[[Judged], str]]] = {
    "all": lambda item: "all",
    "source": lambda item: item.source,
    "kind": lambda item: f"{item.source}: {item.kind}",
    "language": lambda item: item.language,
    "obfuscation": lambda item: item.hiding,
}


def groups(
    judged: Iterable[Judged], key: Callable[[Judged], str], arms: Sequence[str]
) -> list[Group]:
    """One for each category, name and arm, in that order."""
    found: dict[tuple[str, str], list[Judged]] = {}
    for item in judged:
        found.setdefault((item.category.value, key(item)), []).append(item)
    return [
        _group(name, Category(category), arm, items)
        for (category, name), items in sorted(found.items())
        for arm in arms
        if any(arm in item.looked for item in items)
    ]


def _group(name: str, category: Category, arm: str, items: Sequence[Judged]) -> Group:
    looked = [(item.unsafe, item.looked[arm]) for item in items if arm in item.looked]
    decided = [(unsafe, one) for unsafe, one in looked if one.decided]
    figures, f1 = {}, {}
    for at in (Action.WARN, Action.BLOCK):
        counts = Counter((unsafe, one.action >= at) for unsafe, one in decided)
        right, false = counts[True, True], counts[False, True]
        missed, fine = counts[True, False], counts[False, False]
        figures[at.name.lower()] = {
            "recall": wilson(right, right + missed),
            "false_positive_rate": wilson(false, false + fine),
            "precision": wilson(right, right + false),
        }
        total = 2 * right + false + missed
        f1[at.name.lower()] = 2 * right / total if right + missed else None
    return Group(
        name=name,
        category=category,
        arm=arm,
        unsafe=sum(unsafe for unsafe, _ in decided),
        safe=sum(not unsafe for unsafe, _ in decided),
        figures=figures,
        f1=f1,
        undecided=len(looked) - len(decided),
        partial=sum(bool(one.unseen) and one.decided for _, one in looked),
    )
