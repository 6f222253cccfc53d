"""How often the static checkers are right on labelled code.

    python tests/benchmarks/static_accuracy.py FOLDER [--threshold 0.5] [--errors SET]
        [--packages click jinja2 ...]

FOLDER holds JSONL sets, one record a line with `task`, `label`, `text`, `language`, `cwe`, `extra`.
Paired accuracy counts a pair when the unsafe version is flagged and the safe one is not. A record
that nobody could read is its own column, never a silent "safe". With `--packages`, every function
of the named installed packages is checked by itself as ordinary code, and what is said is shown.
"""

import argparse
import ast
import importlib.util
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bluecode.defenses.checkers import credentials, python
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.verdict import DetectorError, Finding, Severity


@dataclass(frozen=True, slots=True)
class Judged:
    """One record with what the checkers said."""

    record: Mapping[str, Any]
    findings: tuple[Finding, ...]
    read: bool
    seconds: float

    def flagged(self, threshold: float) -> bool:
        return any(finding.score >= threshold for finding in self.findings)


def judge(record: Mapping[str, Any]) -> Judged:
    snippet = Snippet(code=record["text"], language="python", origin="fence")
    begin = time.perf_counter()
    read = True
    try:
        findings = (*python.find(snippet), *credentials.find(snippet))
    except DetectorError as error:
        findings, read = error.findings, error.unchecked == "partial"
    return Judged(record, findings, read, time.perf_counter() - begin)


def load(path: Path) -> list[Mapping[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    return [
        record
        for record in records
        if record.get("language") == "python"
        and (record["task"] == "vulnerable" or record["label"] == 0)
    ]


def pairs(judged: Iterable[Judged]) -> list[tuple[Judged, Judged]]:
    """Unsafe and safe versions of the same piece."""
    found: dict[str, dict[int, Judged]] = defaultdict(dict)
    for one in judged:
        key = one.record["extra"].get("pair_id")
        if key is not None:
            found[key][one.record["label"]] = one
    return [(both[1], both[0]) for both in found.values() if len(both) == 2]


def row(name: str, judged: Sequence[Judged], threshold: float) -> list[str]:
    unsafe = [one for one in judged if one.record["label"] == 1]
    safe = [one for one in judged if one.record["label"] == 0]
    both = pairs(judged)
    right = [1 for bad, good in both if bad.flagged(threshold) and not good.flagged(threshold)]
    return [
        name,
        str(len(judged)),
        _rate([one.flagged(threshold) for one in unsafe]),
        _rate([one.flagged(threshold) for one in safe]),
        _rate([True] * len(right) + [False] * (len(both) - len(right))),
        str(sum(not one.read for one in judged)),
        f"{1000 * statistics.median(one.seconds for one in judged):.2f}",
        f"{1000 * max(one.seconds for one in judged):.0f}",
    ]


def _rate(outcomes: Sequence[bool]) -> str:
    return f"{sum(outcomes) / len(outcomes):.3f} ({len(outcomes)})" if outcomes else "-"


def by_cwe(judged: Sequence[Judged], threshold: float) -> Table:
    table = Table("CWE", "recall", "false alarms", "paired")
    groups: dict[str, list[Judged]] = defaultdict(list)
    for one in judged:
        groups[str(one.record.get("cwe"))].append(one)
    for cwe, group in sorted(groups.items(), key=lambda item: -len(item[1])):
        table.add_row(cwe, *row("", group, threshold)[2:5])
    return table


def show_errors(console: Console, judged: Sequence[Judged], threshold: float) -> None:
    """Ids and rules of wrong answers, without the code."""
    for one in judged:
        unsafe = one.record["label"] == 1
        if one.flagged(threshold) != unsafe:
            said = ", ".join(f"{f.rule}@{f.span} {f.score}" for f in one.findings)
            console.print(f"{one.record['id']} {one.record.get('cwe')} {said or 'nothing'}")


def functions(package: str) -> Iterable[tuple[str, str]]:
    """Place and source of every function of an installed package."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise SystemExit(f"`{package}` is no installed package")
    root = Path(found.submodule_search_locations[0])
    for path in sorted(root.rglob("*.py")):
        source = path.read_text(encoding="utf-8", errors="replace")
        lines = source.split("\n")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                first = min([node.lineno, *(item.lineno for item in node.decorator_list)])
                place = f"{package}/{path.relative_to(root)}:{first} {node.name}"
                yield place, "\n".join(lines[first - 1 : node.end_lineno])


def show_packages(console: Console, packages: Sequence[str], threshold: float) -> None:
    """What is said of code that people use every day."""
    table = Table("package", "functions", "flagged", "would be blocked", "unread")
    for package in packages:
        judged = []
        for place, code in functions(package):
            one = judge({"text": code, "label": 0})
            judged.append(one)
            for finding in one.findings:
                if finding.score >= threshold:
                    console.print(f"{place} {finding.rule} {finding.score}")
        blocked = [
            any(f.score >= 0.8 and f.severity > Severity.LOW for f in one.findings)
            for one in judged
        ]
        flagged = _rate([one.flagged(threshold) for one in judged])
        unread = sum(not one.read for one in judged)
        table.add_row(package, str(len(judged)), flagged, _rate(blocked), str(unread))
    console.print(table)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("--threshold", type=float, default=0.5)
    options.add_argument("--errors", metavar="SET", help="a file name without its ending")
    options.add_argument("--packages", nargs="+", default=())
    given = options.parse_args()
    console = Console(width=130)
    if given.packages:
        show_packages(console, given.packages, given.threshold)
    table = Table("set", "records", "recall", "false alarms", "paired", "unread", "ms", "max ms")
    for path in sorted(given.folder.glob("*.jsonl")):
        judged = [judge(record) for record in load(path)]
        if not judged:
            continue
        table.add_row(*row(path.stem, judged, given.threshold))
        if given.errors == path.stem:
            show_errors(console, judged, given.threshold)
            console.print(by_cwe(judged, given.threshold))
    console.print(table)


if __name__ == "__main__":
    main()
