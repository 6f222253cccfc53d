"""What stands behind a finding on a prompt, for people: both sides of its principle, its nearest
cases of both labels, the judge's opinion, and the lines that it is about.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.text import Text

from bluecode.defenses import constitution, knowledge, terms
from bluecode.defenses.knowledge import TASKS, Case, Task
from bluecode.proxy import stores
from bluecode.proxy.config import Config
from bluecode.proxy.inspection import Inspected
from bluecode.proxy.notes import as_json

SHOWN: Final = 90
"""Characters of a text on one line."""
_LINES: Final = 4
_CASES: Final = 2


class Explanation:
    """Explains findings by the shipped cases and the user's own."""

    def __init__(self, config: Config) -> None:
        own = stores.enforced(config)
        self.cases: Mapping[str, Case] = {
            case.id: case for case in (*knowledge.shipped().cases, *own)
        }

    def of(self, item: Inspected) -> Iterator[Text]:
        """Every finding on a text that is at hand."""
        for finding, told in zip(
            item.verdict.findings, as_json(item.verdict)["findings"], strict=True
        ):
            if finding.category.value in TASKS:
                lines = item.source.text.splitlines()
                span = finding.span or (1, len(lines))
                yield from self.told(told, lines[span[0] - 1 : span[1]])

    def told(self, finding: Mapping[str, Any], text: Sequence[str] = ()) -> Iterator[Text]:
        """One finding as it is written in an answer or an audit, and its lines where known."""
        given = finding.get("evidence")
        evidence: Mapping[str, Any] = given if isinstance(given, dict) else finding
        yield _head(finding)
        for line in text[:_LINES]:
            yield Text.assemble(("  │ ", "dim"), short(line))
        if len(text) > _LINES:
            yield Text(f"  │ … {len(text) - _LINES} more lines", "dim")
        principle = constitution.shipped().principles.get(str(evidence.get("principle")))
        if principle is not None:
            yield Text.assemble(("  unsafe when ", "red"), principle.unsafe)
            yield Text.assemble(("  safe when   ", "green"), principle.safe)
        if evidence.get("judge"):
            yield Text(f"  the judge said: {evidence['judge']}")
        ids = evidence.get("cases")
        known = [self.cases[it] for it in ids if it in self.cases] if isinstance(ids, list) else []
        yield from map(_like, known[:_CASES])
        if text and finding.get("category") in TASKS:
            yield from map(_like, _safe("\n".join(text), finding["category"]))


def _head(finding: Mapping[str, Any]) -> Text:
    head = Text(str(finding.get("rule")), "bold")
    if isinstance(score := finding.get("score"), int | float):
        head.append(f"  score {score:.2f}", "dim")
    if isinstance(span := finding.get("span"), list) and len(span) == 2:
        head.append(f"  lines {span[0]}-{span[1]}", "dim")
    return head


def _safe(text: str, task: Task) -> list[Case]:
    """The nearest case that is safe: what the text was not likened to."""
    near = knowledge.shipped().nearest(terms.read(text), task, 1).safe
    return [match.case for match in near]


def _like(case: Case) -> Text:
    style = "red" if case.unsafe else "green"
    label = "like unsafe" if case.unsafe else "near safe  "
    return Text.assemble((f"  {label} ", style), (f"{case.id}  ", "dim"), short(case.text))


def short(text: str) -> str:
    """A text on one line, cut where it is long; unseen characters are shown as what they are."""
    line = "".join(char if char.isprintable() else " " for char in " ".join(text.split()))
    return line if len(line) <= SHOWN else line[: SHOWN - 1] + "…"
