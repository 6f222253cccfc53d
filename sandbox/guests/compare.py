"""Are guests the committed ones? `compare.py OUT` unpacks what was built and holds its digests
against `guests.toml`; ends with 1 if one differs or is missing."""

from __future__ import annotations

import hashlib
import lzma
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

GUESTS = Path(__file__).resolve().parents[1] / "languages" / "guests.toml"


def differing(out: Path) -> Iterator[str]:
    """Names of files that are not what `guests.toml` says; prints a line for each file."""
    for guest in tomllib.loads(GUESTS.read_text()).values():
        for part in (guest["wasm"], guest["library"]):
            path = out / part["file"]
            content = lzma.decompress(path.read_bytes()) if path.exists() else b""
            same = hashlib.sha256(content).hexdigest() == part["content_sha256"]
            word = "same" if same else "differs" if content else "missing"
            print(f"{word:<8} {part['content_sha256']}  {path.stem}")
            if not same:
                yield path.stem


if __name__ == "__main__":
    sys.exit(1 if list(differing(Path(sys.argv[1]))) else 0)
