"""JavaScript and TypeScript: QuickJS for wasm32-wasi, and a harness of recording stand-ins.

A job is JSON as for Python; the host's side of it reads the same events. TypeScript, modules and
JSX are turned into plain scripts inside the guest, by sucrase.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from bluecode.sandbox.languages.language import Language, Program

JAVASCRIPT = Language(
    name="javascript", harness="javascript", suffix=".js", library="/lib/library.js"
)


def program(
    code: str, probes: Sequence[Mapping[str, object]] = (), *, language: str = "javascript"
) -> Program:
    """A program that loads the code, in `javascript` or `typescript`, and tries each probe."""
    job = {"code": code, "probes": list(probes), "language": language}
    return Program(JAVASCRIPT.name, json.dumps(job, ensure_ascii=True).encode())
