"""What unwrapping costs on hostile shapes, in CPU seconds, and how it grows.

    python tests/benchmarks/carriers_cost.py [--size 1000000] [--only NAME]

Each shape is read at half the size and at the whole size: a growth near 2 is linear, near 4 is
quadratic. Asking the parser whether a string is a program is included.
"""

import argparse
import json
import time
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from bluecode.defenses import carriers

COMMANDS = {
    "here-documents": "cat <<A\nA\n",
    "unending here-documents": "cat <<A\n",
    "here-documents on one line": "cat <<A ",
    "substitutions in here-documents": "cat <<A\n$(\nA\n",
    "substitutions": "$(",
    "quotes in substitutions": '"$(',
    "backticks": "`",
    "double quotes": '"a',
    "single quotes": "'a",
    "escaped quotes": "$'\\'",
    "shifts": "((1<<a\n",
    "open programs": "python -c 'a\n",
    "programs": "python -c 'a b(1)'\n",
    "interpreters": "python ",
    "words": "a ",
    "pipes": "|",
    "brackets": "(",
    "appended lines": "echo a >> f\n",
    "written lines": "echo a > f\n",
    "tees": "cat <<A > tee -a ",
}
TEXTS = {
    "search marks": "<<<<<\n",
    "search marks and turns": "<<<<<\n=====\n",
    "headers of diffs": "--- a\n+++ b\n",
    "hunks": "@@ -1 +1 @@\n",
    "files of a patch": "*** Add File: a.py\n+x\n",
    "nested markdown": "```markdown\n",
    "escaped backticks": "\\`",
}


def commanded(unit: str, size: int) -> None:
    carriers.in_arguments(json.dumps({"command": unit * (size // len(unit))}))


def written(unit: str, size: int) -> None:
    text = unit * (size // len(unit))
    carriers.in_input(text)
    carriers.in_text(f"```python\n{text}")


def seconds(read: Callable[[str, int], None], unit: str, size: int) -> float:
    started = time.process_time()
    read(unit, size)
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", type=int, default=1_000_000)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    table = Table("shape", "CPU seconds", "growth")
    for read, shapes in ((commanded, COMMANDS), (written, TEXTS)):
        for name, unit in shapes.items():
            if options.only in name:
                half = seconds(read, unit, options.size // 2)
                whole = seconds(read, unit, options.size)
                table.add_row(name, f"{whole:.2f}", f"{whole / max(half, 0.001):.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
