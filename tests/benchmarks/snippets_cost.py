"""Seconds of CPU that the extractor needs for one megabyte of each shape made to be costly.

Run it as `python tests/benchmarks/snippets_cost.py [PART OF A NAME]`. Columns are the sizes of the
pieces, in characters: 1, 7, 1000 and the whole. What is promised is that cost grows with the text,
however it is cut: less than two seconds at single characters, less than half a second whole.
"""

import sys
import time

from bluecode.defenses.snippets import SnippetExtractor

SIZE = 1_000_000
SHAPES = {
    "newlines": "\n",
    "returns": "\r",
    "spaces": " ",
    "backticks": "`",
    "backticks in a line": ("a ```x\n", "`"),
    "fences in a line": ("a ", "``` "),
    "fence lines": "```\n",
    "tildes": "~~~\n",
    "info line": ("```python ", "x"),
    "line in a fence": ("```python\n", "x"),
    "lines in a fence": ("```python\n", "x = 1\n"),
    "fences in a fence": ("````\n", "```\n"),
    "prose in a line": "Words of prose ",
    "lines of prose": "Some words of plain prose stand in this line.\n",
    "short lines": "ab\n",
    "open tag": ("<code>", "x = 1 > 2\n"),
    "ends of tags": ("<code>", ">"),
    "tags": "<code ",
    "tags and ends": "<code>x</code> ",
    "angles": "<",
    "names": "a.",
    "quotations": "> ",
    "program": "x = f(1)\n",
    "program in a line": ("import os\n", "x"),
    "spans": "`x = f(1)` ",
    "open span": ("see `x = ", "f(1) "),
    "quotes": ("import os\n", "'''"),
    "edit": ("<<<<<<< SEARCH\n", "x\n"),
    "nested": "```markdown\n",
}


def cost(text: str, size: int) -> float:
    """Seconds of CPU to read the text in pieces of that size."""
    started = time.process_time()
    extractor = SnippetExtractor()
    for at in range(0, len(text), size):
        extractor.feed(text[at : at + size])
    extractor.close()
    return time.process_time() - started


def main() -> None:
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    print(f"{'shape':<22}{'1':>8}{'7':>8}{'1000':>8}{'whole':>8}")
    for name, shape in SHAPES.items():
        if wanted in name:
            lead, body = ("", shape) if isinstance(shape, str) else shape
            text = (lead + body * (SIZE // len(body)))[:SIZE]
            row = [cost(text, size) for size in (1, 7, 1000, SIZE)]
            print(f"{name:<22}" + "".join(f"{seconds:8.2f}" for seconds in row), flush=True)


if __name__ == "__main__":
    main()
