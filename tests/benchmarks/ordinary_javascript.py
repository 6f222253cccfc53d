"""What the checks say of JavaScript that people use every day, with what a run of it shows.

    python tests/benchmarks/ordinary_javascript.py --count 1000 node_modules

Functions, and pieces of 20 lines cut out around functions, are drawn from the `.js` files below a
folder and checked under the default policy. Each that a run made worse than the rules alone did is
shown with its place; what the guest could not read is a row of its own.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import anyio
from rich.console import Console

from bluecode.defenses.checkers import credentials
from bluecode.defenses.checkers.javascript_dynamic import JavaScriptDynamic
from bluecode.defenses.checkers.rules import checker
from bluecode.defenses.checkers.rules.syntax import OutOfTime, Piece, read
from bluecode.defenses.checking import WORTH_A_RUN
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.fusion import fuse
from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Action, DetectorError, Finding
from bluecode.sandbox.builder import build
from bluecode.sandbox.cache import Cache
from bluecode.sandbox.guest import GuestSource
from bluecode.sandbox.languages.javascript import JAVASCRIPT
from bluecode.sandbox.languages.language import Program
from bluecode.sandbox.limits import Limits
from bluecode.sandbox.outcome import Outcome
from bluecode.sandbox.wasm import Guest

FUNCTIONS = frozenset({"function_declaration", "method_definition", "function_expression"})
SHORTEST, LINES, LARGEST = 5, 20, 80_000


class Here:
    """A sandbox without worker processes, that counts how runs ended."""

    ready = True

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self.ends: Counter[str] = Counter()

    async def run(self, program: Program, limits: Limits | None = None) -> Outcome:
        outcome = self._guest.run(program.job, limits or Limits()).outcome()
        unread = any(event.kind == "unreadable" for event in outcome.events)
        self.ends["unread" if unread else outcome.ended] += 1
        return outcome


def pieces(folder: Path, draw: random.Random) -> Iterator[tuple[str, str]]:
    """Place and text of what is checked, two of each file."""
    files = sorted(path for path in folder.rglob("*.js") if path.is_file())
    draw.shuffle(files)
    for path in files:
        if ".min." in path.name or path.stat().st_size > LARGEST:
            continue
        source = path.read_text(encoding="utf-8", errors="replace")
        try:
            found = list(functions(read(source, "javascript")))
        except OutOfTime:
            continue
        lines = source.split("\n")
        for piece in draw.sample(found, min(2, len(found))):
            first = max(0, piece.line - 1 + draw.randrange(-4, 4))
            cut = "\n".join(lines[first : first + LINES])
            yield f"{path}:{piece.line}", draw.choice((piece.text(), cut))


def functions(root: Piece) -> Iterator[Piece]:
    """All functions of some length."""
    waiting = [root]
    while waiting:
        piece = waiting.pop()
        if piece.kind() in FUNCTIONS and piece.last - piece.line + 1 >= SHORTEST:
            yield piece
        waiting += piece.named()


def claims(snippet: Snippet) -> tuple[Finding, ...]:
    """What the rules say; of what they read only in part, that part."""
    try:
        return (*checker.find(snippet), *credentials.find(snippet))
    except DetectorError as error:
        return tuple(error.findings)


async def measure(folder: Path, count: int, seed: int, sandbox: Here) -> None:
    console, policy = Console(width=130, highlight=False), Policy.default()
    prover, counts, times = JavaScriptDynamic(sandbox), Counter[str](), list[float]()
    for place, code in pieces(folder, random.Random(seed)):
        if counts["pieces"] >= count:
            break
        snippet = Snippet(code=code, language="javascript", origin="fence")
        claimed = [item for item in claims(snippet) if item.score >= WORTH_A_RUN]
        started = time.perf_counter()
        report = await prover.test(snippet, claimed)
        times.append(1000 * (time.perf_counter() - started))
        weighed = [fuse(*pair) for pair in zip(claimed, report.evidence, strict=True)]
        before = max(map(policy.action_for, claimed), default=Action.ALLOW)
        after = max(map(policy.action_for, (*weighed, *report.discovered)), default=Action.ALLOW)
        counts["pieces"] += 1
        counts[f"{before.name.lower()} by the rules"] += 1
        counts[f"{after.name.lower()} after the run"] += 1
        if after > before:
            console.print(place, *(item.rule for item in (*claimed, *report.discovered)))
    for name, number in sorted((counts + sandbox.ends).items()):
        console.print(f"{number:6} {name}")
    console.print(f"{statistics.median(times):6.1f} ms in the median")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("--count", type=int, default=1000)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        native = build(GuestSource.load(JAVASCRIPT), Cache(Path(cache)), lambda step: None)
        with Guest(native) as guest:
            anyio.run(measure, given.folder, given.count, given.seed, Here(guest))


if __name__ == "__main__":
    main()
