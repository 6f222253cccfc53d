"""A Dockerfile as instructions, as far as ours needs it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, its continued lines joined."""

    word: str
    text: str
    stage: int
    """Counted from 0; -1 before the first FROM."""


def instructions(path: Path) -> list[Instruction]:
    return list(_read(path.read_text("utf-8")))


def _read(text: str) -> Iterator[Instruction]:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    stage = -1
    for whole in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        word, _, rest = whole.partition(" ")
        stage += word == "FROM"
        yield Instruction(word, rest.strip(), stage)
