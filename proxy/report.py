"""Results of `check` and `screen` for people (coloured text) and for programs (JSON)."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Action, Category, Evidence, Finding
from bluecode.proxy.inspection import Inspected
from bluecode.proxy.notes import as_json

STYLES = {Action.ALLOW: "green", Action.WARN: "yellow", Action.BLOCK: "bold red"}
WORDS = {Action.ALLOW: "allow", Action.WARN: "warn", Action.BLOCK: "block"}
CATEGORIES = {category: category.value.replace("_", " ") for category in Category}
_OUTCOMES = {
    "confirmed": ("confirmed", "red"),
    "refuted": ("refuted", "green"),
    "not_testable": ("not testable", "dim"),
}


def print_inspected(policy: Policy, inspected: Sequence[Inspected]) -> None:
    """One block of lines for each finding, then a line that sums up."""
    console = Console(highlight=False, soft_wrap=True)
    for item in inspected:
        for finding in sorted(item.verdict.telling, key=lambda found: found.span or (0, 0)):
            for line in _finding_lines(policy, item, finding):
                console.print(line)
        for line in _unseen_lines(item):
            console.print(line)
    console.print(_summary(policy, inspected))


def print_lines(lines: Iterable[Text]) -> None:
    """Lines that belong below what was found."""
    console = Console(highlight=False, soft_wrap=True)
    for at, line in enumerate(lines):
        if not at:
            console.print()
        console.print(line)


def _finding_lines(policy: Policy, item: Inspected, finding: Finding) -> Iterator[Text]:
    action = policy.action_for(finding)
    lines = item.lines_of(finding)
    place = item.source.path + (f":{lines[0]}" if lines else "")
    cwe = f"CWE-{finding.cwe}  " if finding.cwe is not None else ""
    yield Text.assemble(
        (place, "bold"), "  ", (WORDS[action], STYLES[action]), f"  {cwe}{finding.rule}",
        (f"  score {finding.score:.2f}", "dim"),
    )  # fmt: skip
    yield Text(f"    {finding.reason}")
    if (evidence := finding.evidence) is not None:
        yield from _evidence_lines(evidence)
    if finding.advice and action is not Action.ALLOW:
        yield Text.assemble(("    safer: ", "cyan"), finding.advice)


def _evidence_lines(evidence: Evidence) -> Iterator[Text]:
    if evidence.outcome is not None:
        word, style = _OUTCOMES[evidence.outcome]
        told = f": {evidence.observed}" if evidence.observed else ""
        yield Text.assemble("    sandbox: ", (word, style), told)
    if evidence.judge is not None:
        yield Text(f"    judge: {evidence.judge}")
    if evidence.principle is not None:
        cases = f", nearest case {evidence.cases[0]}" if evidence.cases else ""
        yield Text(f"    principle {evidence.principle}{cases}", style="dim")


def _unseen_lines(item: Inspected) -> Iterator[Text]:
    where = f"{item.source.path}:{item.first_line}"
    for name in item.verdict.failed:
        yield Text.assemble((where, "bold"), "  ", ("not checked", "magenta"), f"  {name} failed")
    for reason in item.verdict.unchecked:
        told = f"language ({item.language or 'unknown'})" if reason == "language" else reason
        yield Text.assemble((where, "bold"), "  ", ("not checked", "magenta"), f"  {told}")


def _summary(policy: Policy, inspected: Sequence[Inspected]) -> Text:
    files = len({item.source.path for item in inspected})
    actions = [policy.action_for(found) for item in inspected for found in item.verdict.telling]
    unseen = sum(bool(item.verdict.failed or item.verdict.unchecked) for item in inspected)
    parts = [f"{len(inspected)} pieces in {files} files" if inspected else "nothing to look at"]
    parts += [
        f"{actions.count(action)} {word}" for action, word in reversed(WORDS.items()) if actions
    ]
    if not actions and inspected and not unseen:
        parts.append("nothing found")
    if unseen:
        parts.append(f"{unseen} not checked")
    if policy.shadow:
        parts.append("shadow mode")
    worst = max((item.verdict.action for item in inspected), default=Action.ALLOW)
    return Text(" · ".join(parts), style=STYLES[worst])


def inspected_json(policy: Policy, inspected: Sequence[Inspected]) -> dict[str, Any]:
    """The same for programs; the shape of each verdict is that of the proxy's answers."""
    return {"policy": policy.version, "results": [_result(item) for item in inspected]}


def _result(item: Inspected) -> dict[str, Any]:
    told = as_json(item.verdict)
    for finding, written in zip(item.verdict.findings, told["findings"], strict=True):
        lines = item.lines_of(finding)
        written["span"] = list(lines) if lines else None
    return {"path": item.source.path, "line": item.first_line, "language": item.language, **told}
