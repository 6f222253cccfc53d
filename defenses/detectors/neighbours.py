"""What the cases near a text say of it together: a kernel machine over the knowledge base.

The linear models judge by what each word tells; a text of which every word is harmless, or
strange, is judged by which whole cases it is like. Each case pulls by a weight of its own, the
more the more alike it is: `sum of weight * exp(SPREAD * (likeness - 1))`, in log-odds. The weights
are those of kernel ridge regression on the labels (Saunders, Gammerman and Vovk 1998), with the
Gaussian kernel that a likeness, which is a cosine, amounts to.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bluecode.defenses.detectors.lexicon import Floats

SPREAD = 1.6
"""How quickly a case pulls less as it is less alike: by this many e-folds from one to none."""


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """The weights of one model; of no use where there are none."""

    weights: Floats
    """Log-odds of each case at its own place, in the order of the knowledge base. Cases that stand
    there beyond, such as those added since the fit, do not pull."""
    reach: float
    """No text that was learned from is pulled up further, in log-odds."""
    share: float
    """Log-odds for what the ridge regression calls one, between two labels at -1 and 1."""

    def pull(self, likeness: npt.NDArray[np.float64]) -> float:
        """Log-odds for a text, from how alike each case is to it, 0 to 1."""
        return float(kernel(likeness[: len(self.weights)]) @ self.weights)


NOBODY = Neighbours(np.zeros(0, np.float32), 0.0, 0.0)


def kernel(likeness: npt.NDArray[np.float64]) -> Floats:
    """How much each case pulls, of its weight: 1 where it is the text."""
    pulled: Floats = np.exp(np.float32(SPREAD) * (likeness.astype(np.float32) - 1))
    return pulled
