"""A target that stops words, and counts what it was asked."""

from collections.abc import Sequence

from bluecode.defenses.redteam.attack import Attack
from bluecode.defenses.redteam.target import Heard, TargetError
from bluecode.defenses.verdict import Action


class WordTarget:
    """Stops any text that holds one of its words; the pressure is the share of them."""

    def __init__(self, words: Sequence[str], *, fails: bool = False) -> None:
        self.words = words
        self.fails = fails
        self.heard: list[str] = []

    async def hear(self, attack: Attack) -> Heard:
        if self.fails:
            raise TargetError("the scripted target fails")
        self.heard.append(attack.text)
        text = attack.text.lower()
        share = sum(word in text for word in self.words) / max(len(self.words), 1)
        return Heard(action=Action.BLOCK if share else Action.ALLOW, pressure=share)

    async def __aenter__(self) -> "WordTarget":
        return self

    async def __aexit__(self, *error: object) -> None:
        return None


class OpensWords:
    """Opens a `WordTarget`; picklable, as a campaign needs it."""

    def __init__(self, *words: str, fails: bool = False) -> None:
        self.words = words
        self.fails = fails

    def __call__(self) -> WordTarget:
        return WordTarget(self.words, fails=self.fails)
