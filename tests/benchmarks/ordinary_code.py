"""What the static checkers say of code that people use every day.

    python tests/benchmarks/ordinary_code.py click jinja2 ...

Every function of the named installed packages is checked by itself, as an assistant would hand it
over, under the default policy; each finding that warns or blocks is shown with its place. What was
not read whole is its own column, never a silent "nothing found".
"""

import argparse
import ast
import importlib.util
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bluecode.defenses.checkers import credentials, python
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Action, DetectorError, Finding


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


def claims(code: str) -> tuple[Sequence[Finding], bool]:
    """What is claimed of a piece of code, and whether all of it was read."""
    snippet = Snippet(code=code, language="python", origin="fence")
    try:
        return (*python.find(snippet), *credentials.find(snippet)), True
    except DetectorError as error:
        return error.findings, False


def row(console: Console, package: str, policy: Policy) -> list[str]:
    """The package's row of the table; what is claimed is printed on the way."""
    actions: list[Action] = []
    unread = 0
    for place, code in functions(package):
        findings, whole = claims(code)
        unread += not whole
        actions.append(max(map(policy.action_for, findings), default=Action.ALLOW))
        for finding in findings:
            if policy.action_for(finding) >= Action.WARN:
                console.print(f"{place} {finding.rule} {finding.score}")
    counts = (sum(action >= at for action in actions) for at in (Action.WARN, Action.BLOCK))
    shares = [f"{count} ({count / max(len(actions), 1):.2%})" for count in counts]
    return [package, str(len(actions)), *shares, str(unread)]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("packages", nargs="+", metavar="PACKAGE")
    console, policy = Console(width=130, highlight=False), Policy.default()
    table = Table("package", "functions", "warned or blocked", "blocked", "unread")
    for package in options.parse_args().packages:
        table.add_row(*row(console, package, policy))
    console.print(table)


if __name__ == "__main__":
    main()
