"""The fitted judgement on orders: what the words and facts of a unit weigh.

`orders.npz` is written by `bluecode.defenses.detectors.orders_training`. A harmless order counts as
well as a harmful one, since what a tool brings has no orders to give; only what the user asked for
too is held less against the text.
"""

import io
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

from bluecode.defenses.detectors.orders import Floats, Reading


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weights:
    """The fitted model: raw log-odds of a unit, and what makes log-odds of a text of them."""

    words: Floats
    facts: Floats
    bias: float
    slope: float
    shift: float
    crowd: float
    """Caution for each e-fold of units: of many, one is loud by chance."""

    def logits(self, reading: Reading) -> Floats:
        """Raw log-odds of each unit."""
        total = np.bincount(reading.owners, self.words[reading.buckets], minlength=reading.count)
        logits: Floats = (total * reading.scales + reading.facts @ self.facts + self.bias).astype(
            np.float32
        )
        return logits

    def odds(self, reading: Reading) -> tuple[float, int]:
        """Calibrated log-odds of a text, and the unit that decides; without units, minus ten."""
        if not reading.count:
            return -10.0, 0
        odds = self.each(reading)
        loudest = int(odds.argmax())
        crowd = self.slope * self.crowd * float(np.log(reading.count))
        return float(odds[loudest]) - crowd, loudest

    def each(self, reading: Reading) -> Floats:
        """Calibrated log-odds of each unit, as if the text had no other."""
        logits = self.logits(reading) - _TASK_RELIEF * reading.relief
        return (self.slope * logits + self.shift).astype(np.float32)


_TASK_RELIEF = 2.0
"""Log-odds that an order loses which speaks of nothing but the user's task."""


_NUMBERS = ("bias", "slope", "shift", "crowd")


def parse(data: bytes) -> tuple[Weights, str]:
    """Read fitted weights, and the digest of what they were fitted to."""
    with np.load(io.BytesIO(data)) as stored:
        numbers = dict(zip(_NUMBERS, stored["numbers"].tolist(), strict=True))
        weights = Weights(
            words=stored["words"].astype(np.float32), facts=stored["facts"], **numbers
        )
        return weights, str(stored["digest"])


def render(weights: Weights, digest: str) -> bytes:
    """The opposite of `parse`."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        words=weights.words.astype(np.float16),
        facts=weights.facts.astype(np.float32),
        numbers=np.array([getattr(weights, key) for key in _NUMBERS]),
        digest=np.array(digest),
    )
    return buffer.getvalue()


@cache
def shipped() -> Weights:
    """The weights that come with BlueCode, loaded once."""
    data = resources.files("bluecode.defenses.detectors").joinpath("orders.npz").read_bytes()
    return parse(data)[0]
