"""One kind of weakness: what it is called, what is said of it, how likely it is."""

from dataclasses import dataclass

from bluecode.defenses.checkers.rules.values import Level
from bluecode.defenses.verdict import Category, Severity

LOW, MEDIUM, HIGH = Severity.LOW, Severity.MEDIUM, Severity.HIGH


@dataclass(frozen=True, slots=True)
class Weakness:
    """One kind of weakness."""

    title: str
    cwe: int
    severity: Severity
    reason: str
    advice: str
    profile: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    category: Category = Category.VULNERABLE_CODE

    def score(self, level: Level) -> float:
        """How likely the weakness is for data of this level."""
        return 0.0 if level is Level.NONE else self.profile[level - 1]
