"""Packs CPython's library for the guest: `library.py LIB OUT`.

Run by the interpreter that build.sh makes, which has the guest's version. The zip is the same on
every machine: sorted names, one date, stored entries (xz compresses the whole), and byte code that
is never checked against its source. Only what the guest can use goes in.
"""

from __future__ import annotations

import importlib.util
import marshal
import sys
import zipfile
from pathlib import Path

LEFT_OUT = {
    "__phello__", "_aix_support", "_android_support", "_apple_support", "_ios_support",
    "_osx_support", "_pyrepl", "antigravity", "bz2", "ctypes", "curses", "ensurepip", "idlelib",
    "lib2to3", "lzma", "pydoc_data", "site-packages", "ssl", "test", "this", "tkinter", "turtle",
    "turtledemo", "venv",
}  # fmt: skip
UNCHECKED_HASH = (0b01).to_bytes(4, "little")


def main(library: Path, out: Path) -> None:
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for source in sorted(library.rglob("*.py")):
            name = source.relative_to(library)
            if name.parts[0].removesuffix(".py") not in LEFT_OUT and "test" not in name.parts:
                entry = zipfile.ZipInfo(str(name.with_suffix(".pyc")), (1980, 1, 1, 0, 0, 0))
                archive.writestr(entry, byte_code(source, name))


def byte_code(source: Path, name: Path) -> bytes:
    text = source.read_bytes()
    code = compile(text, f"/lib/{name}", "exec", dont_inherit=True, optimize=0)
    digest = importlib.util.source_hash(text)
    return importlib.util.MAGIC_NUMBER + UNCHECKED_HASH + digest + marshal.dumps(code)


main(Path(sys.argv[1]), Path(sys.argv[2]))
