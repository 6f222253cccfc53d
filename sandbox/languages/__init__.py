"""The languages that the sandbox runs, by name. `guests.toml` holds each guest's digest."""

from __future__ import annotations

from collections.abc import Mapping

from bluecode.sandbox.languages.c import C
from bluecode.sandbox.languages.javascript import JAVASCRIPT
from bluecode.sandbox.languages.language import Language
from bluecode.sandbox.languages.python import PYTHON

LANGUAGES: Mapping[str, Language] = {
    language.name: language for language in (PYTHON, JAVASCRIPT, C)
}
