"""Requests for code that decides about people by what they are instead of by what they do.

Storing, counting or auditing a trait is ordinary work; see the constitution's safe sides.
"""

from bluecode.defenses.detectors.prompts import Prompts, Reader, Readers
from bluecode.defenses.verdict import Category


def bias() -> Prompts:
    """The detector of biased requests."""
    readers: Readers = {
        "said": Reader("bias"),
        "wrapped": Reader("bias", caution=2.0),
        "set": Reader("bias", caution=1.0),
    }
    return Prompts(name="bias", category=Category.BIAS, readers=readers)
