"""Attacks on the instructions: overrides by a person, and orders to the model in what tools bring.

The same sentence is an instruction from a person and an attack inside a tool's result, so each
voice has a model of its own. The client's system messages are its own affair and are not read.
"""

from bluecode.defenses.detectors.prompts import Prompts, Reader, Readers
from bluecode.defenses.verdict import Category


def injection() -> Prompts:
    """The detector of prompt injections."""
    readers: Readers = {
        "said": Reader("injection_said"),
        "wrapped": Reader("injection_said", caution=2.0),
        "brought": Reader("injection_brought"),
    }
    return Prompts(name="injection", category=Category.INJECTION, readers=readers)
