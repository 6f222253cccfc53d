"""What the guard adds to a completion in an editor, keystroke by keystroke.

    python tests/benchmarks/completions_cost.py [--keystrokes 60]

An editor asks anew at almost every keystroke, with the file around the cursor, each time a little
longer. Told is the time from the request until the completion may leave, less the model's own, by
the size of the file and by what the model completes: screening the file, and checking the
completion with every checker and the sandbox. The budget is 20 ms.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from bluecode.defenses.conversation import Message, Role
from bluecode.defenses.policy import Policy
from bluecode.proxy.config import Config
from bluecode.proxy.engine import Engine
from bluecode.proxy.wire.around import Around, screened

SIZES = (1, 4, 16)
"""Kilobytes of the file."""
HEAD = "import sqlite3\nfrom flask import Flask, request\n\napp = Flask(__name__)\n\n\n"
FILLER = (
    "def total_{at}(items, rate):\n"
    "    # Orders that were paid twice are counted once.\n"
    "    seen = {{item.number: item for item in items}}\n"
    "    return sum(item.price * rate for item in seen.values())\n\n\n"
)
TYPED = (
    '@app.route("/user")\ndef user():\n    name = request.args["name"]\n'
    '    db = sqlite3.connect("users.db")\n    rows = db.execute(\n'
)
AFTER = "    )\n    return {'rows': rows.fetchall()}\n\n\n"
COMPLETIONS = {
    "safe": '        "SELECT id FROM users WHERE name = ?", (name,)\n',
    "vulnerable": '        "SELECT id FROM users WHERE name = \'" + name + "\'"\n',
    "one word": "sorted",
}


def file_before(size: int, typed: str) -> str:
    """A file of so many kilobytes up to the cursor."""
    fillers = 1024 * size * 3 // 4 // len(FILLER)
    return HEAD + "".join(FILLER.format(at=at) for at in range(fillers)) + typed


def file_after(size: int) -> str:
    return AFTER + "".join(FILLER.format(at=-at) for at in range(1024 * size // 4 // len(FILLER)))


async def keystroke(engine: Engine, around: Around, completion: str) -> tuple[float, bool]:
    """Milliseconds, and was it blocked?"""
    started = time.perf_counter()
    for part in (*screened(around.before), around.after):
        await engine.screen(Message(role=Role.TOOL, text=part))
    verdict = await engine.check(around.snippet(completion))
    return 1000 * (time.perf_counter() - started), verdict.blocks


async def typed(engine: Engine, size: int, completion: str, keystrokes: int) -> Sequence[str]:
    """A row: the completion asked for at each of the last keystrokes before it."""
    after = file_after(size)
    times, blocked = [], 0
    for at in range(keystrokes):
        before = file_before(size, f"# Draft {at} of this page.\n{TYPED}")
        spent, blocks = await keystroke(engine, Around(before, after), completion)
        times.append(spent)
        blocked += blocks
    late = sum(spent > 20 for spent in times)
    ranks = statistics.quantiles(times, n=20)
    return [f"{ranks[9]:.1f}", f"{ranks[18]:.1f}", f"{late}/{keystrokes}", f"{blocked}"]


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--keystrokes", type=int, default=60, help="for each row")
    options = parser.parse_args()
    config = Config(upstream="demo", audit="none")
    table = Table("file", "completion", "median ms", "95 % ms", "over 20 ms", "blocked")
    async with Engine.open(config, Policy.default()) as engine:
        await typed(engine, 1, COMPLETIONS["safe"], 5)
        for size in SIZES:
            for name, completion in COMPLETIONS.items():
                row = await typed(engine, size, completion, options.keystrokes)
                table.add_row(f"{size} KB", name, *row)
    Console().print(table)


if __name__ == "__main__":
    asyncio.run(main())
