"""What a linker is told to export of libraries: `exports.py ARCHIVE…` prints an option for each
name that an archive's index lists. Nothing of the runtime's own is among them, so that no function
of a program is ever taken for one of the runtime's.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from pathlib import Path

MAGIC, HEADER, INDEX = b"!<arch>\n", 60, b"/"


def names(archive: bytes) -> Iterator[str]:
    """Raises `ValueError` for an archive without an index."""
    head = archive[len(MAGIC) : len(MAGIC) + HEADER]
    if not archive.startswith(MAGIC) or head[:16].rstrip() != INDEX:
        raise ValueError("an archive without an index")
    size, at = int(head[48:58]), len(MAGIC) + HEADER
    (count,) = struct.unpack_from(">I", archive, at)
    texts = archive[at + 4 + 4 * count : at + size].split(b"\0")
    yield from (text.decode() for text in texts[:count])


if __name__ == "__main__":
    found = {name for path in sys.argv[1:] for name in names(Path(path).read_bytes())}
    print("\n".join(f"--export-if-defined={name}" for name in sorted(found)))
