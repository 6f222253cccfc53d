"""Detectors of prompts: each looks at one message and reports what it saw, by a seam of its own.

To add one: a file here, a line in `DETECTORS`, a test in `tests/defenses/detectors`.
"""

from collections.abc import Callable, Mapping

from bluecode.defenses.conversation import Message
from bluecode.defenses.detectors.bias import bias
from bluecode.defenses.detectors.injection import injection
from bluecode.defenses.detectors.malice import malice
from bluecode.defenses.detectors.obfuscation import Obfuscation
from bluecode.defenses.verdict import Detector

DETECTORS: Mapping[str, Callable[[], Detector[Message]]] = {
    "injection": injection,
    "malice": malice,
    "bias": bias,
    "obfuscation": Obfuscation,
}
