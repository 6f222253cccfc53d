"""What the rules of all languages but Python say of code that people use every day.

    python tests/benchmarks/ordinary_functions.py --limit 1500 FOLDER...

Every function in the source files below the folders, or a sample of them that is the same each
time, is checked by itself under the default policy, as an assistant would hand it over. A row for
each language says how many warn and block, what the median function costs, and how many were not
read whole; `--show warn` prints each finding with its place. Tests and minified files are left out.
"""

import argparse
import random
import re
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bluecode.defenses.checkers.rules import checker
from bluecode.defenses.checkers.rules.syntax import OutOfTime, Piece, read
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Action, DetectorError, Finding

ENDINGS = {
    ".js": "javascript", ".mjs": "javascript", ".cjs": "javascript", ".ts": "typescript",
    ".tsx": "typescript", ".java": "java", ".go": "go", ".c": "c", ".cc": "cpp", ".cpp": "cpp",
    ".cxx": "cpp", ".hpp": "cpp", ".php": "php", ".rb": "ruby", ".cs": "csharp", ".rs": "rust",
}  # fmt: skip
KINDS = frozenset({
    "function_definition", "function_declaration", "method_declaration", "method_definition",
    "function_item", "method", "singleton_method", "constructor_declaration",
    "generator_function_declaration", "function_expression", "local_function_statement",
})  # fmt: skip
_LEFT_OUT = re.compile(
    r"(?:^|/)(?:tests?|specs?|__tests__|testing|fixtures)/|[._-]test\.|\.min\.", re.I
)
_LARGEST = 400_000
_SEED = 7

Function = tuple[str, str, str]
"""Its place, its language, its text."""


def functions(folder: Path) -> Iterator[Function]:
    """Every outermost function in the source files of a folder."""
    for path in sorted(folder.rglob("*")):
        language = ENDINGS.get(path.suffix)
        if language is None or not path.is_file() or path.stat().st_size > _LARGEST:
            continue
        if not _LEFT_OUT.search(str(path.relative_to(folder))):
            yield from _in_file(path, folder, language)


def _in_file(path: Path, folder: Path, language: str) -> Iterator[Function]:
    text = path.read_text("utf-8", "replace")
    if language == "php":
        text = re.sub(r"<\?php|\?>", lambda found: " " * len(found[0]), text, flags=re.I)
    try:
        root = read(text, "tsx" if path.suffix == ".tsx" else language)
    except OutOfTime:
        return
    for piece in _outermost(root):
        yield f"{path.relative_to(folder.parent)}:{piece.line}", language, piece.text()


def _outermost(root: Piece) -> Iterator[Piece]:
    stack = [root]
    while stack:
        piece = stack.pop()
        if piece.kind() in KINDS:
            yield piece
        else:
            stack.extend(reversed(piece.named()))


def chosen(found: Iterable[Function], limit: int) -> list[Function]:
    """At most so many of each language, each text once, the same each time."""
    by_language: dict[str, dict[str, Function]] = {}
    for item in found:
        by_language.setdefault(item[1], {}).setdefault(item[2], item)
    picked: list[Function] = []
    for language in sorted(by_language):
        items = list(by_language[language].values())
        random.Random(_SEED).shuffle(items)
        picked += items[:limit]
    return picked


def claims(code: str, language: str) -> tuple[Sequence[Finding], bool]:
    """What is claimed of a piece of code, and whether all of it was read."""
    try:
        return checker.find(Snippet(code=code, language=language, origin="fence")), True
    except DetectorError as error:
        return error.findings, False


def row(
    console: Console, items: Sequence[Function], policy: Policy, show: Action | None
) -> list[str]:
    """A language's row of the table; what is claimed is printed on the way."""
    actions: list[Action] = []
    rules: Counter[str] = Counter()
    costs: list[float] = []
    unread = 0
    for place, language, code in items:
        begin = time.perf_counter()
        findings, whole = claims(code, language)
        costs.append(time.perf_counter() - begin)
        unread += not whole
        actions.append(max(map(policy.action_for, findings), default=Action.ALLOW))
        for finding in findings:
            if policy.action_for(finding) >= Action.WARN:
                rules[finding.rule] += 1
            if show is not None and policy.action_for(finding) >= show:
                line = finding.span[0] if finding.span else 0
                console.print(f"{place}+{line - 1} {finding.rule} {finding.score}")
    counts = (sum(action >= at for action in actions) for at in (Action.WARN, Action.BLOCK))
    shares = [f"{count} ({count / len(actions):.2%})" for count in counts]
    often = " ".join(f"{rule.partition('.')[2]}:{count}" for rule, count in rules.most_common(6))
    cost = f"{statistics.median(costs) * 1e6:.0f}"
    return [items[0][1], str(len(items)), *shares, str(unread), cost, often]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folders", nargs="+", metavar="FOLDER", type=Path)
    options.add_argument("--limit", type=int, default=1500, help="functions of each language")
    options.add_argument("--show", choices=("warn", "block"), help="print findings from here on")
    given = options.parse_args()
    console, policy = Console(width=150, highlight=False), Policy.default()
    show = Action[given.show.upper()] if given.show else None
    found = (item for folder in given.folders for item in functions(folder))
    by_language: dict[str, list[Function]] = {}
    for item in chosen(found, given.limit):
        by_language.setdefault(item[1], []).append(item)
    table = Table(
        "language", "functions", "warned or blocked", "blocked", "unread", "median µs", "rules"
    )
    for items in by_language.values():
        table.add_row(*row(console, items, policy, show))
    console.print(table)


if __name__ == "__main__":
    main()
