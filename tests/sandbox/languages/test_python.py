"""A Python program is a JSON job for the harness."""

from __future__ import annotations

import json

from bluecode.sandbox.languages import LANGUAGES
from bluecode.sandbox.languages.python import program


def test_a_program_carries_code_and_probes() -> None:
    made = program("print('é')", [{"call": "f", "args": [1]}])

    assert made.language in LANGUAGES
    assert json.loads(made.job) == {"code": "print('é')", "probes": [{"call": "f", "args": [1]}]}


def test_text_that_is_no_unicode_still_travels() -> None:
    assert json.loads(program("'\ud800'").job)["code"] == "'\ud800'"
