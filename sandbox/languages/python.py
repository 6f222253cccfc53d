"""Python: CPython for wasm32-wasi, its library, and a harness of recording stand-ins.

A job is JSON: the code, and the probes that the harness is to try on it. What a probe may say
stands in the harness's own documentation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from bluecode.sandbox.languages.language import Language, Program

PYTHON = Language(name="python", harness="python", suffix=".py", library="/lib/python.zip")


def program(code: str, probes: Sequence[Mapping[str, object]] = ()) -> Program:
    """A program that loads the code and tries each probe on it."""
    job = {"code": code, "probes": list(probes)}
    # Surrogates, which untrusted text may hold, stay escapes here and become text in the guest.
    return Program(PYTHON.name, json.dumps(job, ensure_ascii=True).encode())
