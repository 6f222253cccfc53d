"""Requests for harm: malware, intrusion, theft, surveillance, fraud, orders that ruin the host.

Only what a person asks for is judged. A tool's result may well be malware under study.
"""

from bluecode.defenses.detectors.prompts import Prompts, Reader, Readers
from bluecode.defenses.verdict import Category


def malice() -> Prompts:
    """The detector of malicious requests."""
    readers: Readers = {
        "said": Reader("malice"),
        "wrapped": Reader("malice", caution=2.0),
        "set": Reader("malice", caution=1.0),
    }
    return Prompts(name="malice", category=Category.MALICE, readers=readers)
