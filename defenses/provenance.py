"""Where the words of a tool call come from: from the user, or only from what tools brought.

A host, an address, a path to secrets or a secret that the assistant puts into a call, and that
stands nowhere but in untrusted text, was put there by a stranger. That alone is worth knowing;
where the sentence that it comes from reads as an order to the model, the call carries that order
out. What is spelt anew (a name put together, or encoded) is not traced, nor are names of packages
and of ordinary files: assistants take those from what they read all day.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from bluecode.defenses.verdict import Category, Finding, Severity

Kind = Literal["host", "address", "path", "secret"]

_HOST = re.compile(r"\b(?:https?|wss?|ftp|ssh|git)://(?:[^\s/@\"'<>]{1,200}@)?([a-z0-9.-]{3,200})")
_BARE = re.compile(
    r"(?<![\w.@/-])((?:\d{1,3}\.){3}\d{1,3}|(?:[a-z0-9-]{1,63}\.){1,4}"
    r"(?:com|net|org|io|dev|app|xyz|info|biz|site|online|top|ru|cn|me|co|ai|sh|example))(?![\w-])"
)
_ADDRESS = re.compile(r"[a-z0-9._%+-]{1,64}@(?:[a-z0-9-]{1,63}\.){1,5}[a-z]{2,24}\b")
_PATH = re.compile(
    r"(?:~|/root|/home/[\w.-]+|\$home)?/?\.(?:ssh|aws|gnupg|kube|docker|netrc|npmrc|pypirc|env"
    r"|git-credentials|bash_history|zsh_history)(?:/[\w.-]+)*\b|/etc/(?:passwd|shadow|sudoers)\b"
)
_SECRET = re.compile(
    r"\b(?:akia[0-9a-z]{16}|gh[pousr]_[0-9a-z]{30,}|sk-[0-9a-z_-]{20,}|xox[abp]-[0-9a-z-]{10,})"
)
_OWN = re.compile(r"(?:localhost|127(?:\.\d+){3}|0\.0\.0\.0|::1|(?:.*\.)?(?:local|test|internal))$")
_MOST_TEXT = 120_000
"""Characters of a call, and of each text, that are read."""
_MOST_MARKS = 64
NAME = "provenance"
"""By which a policy can disable it."""
_WARNING, _ORDERED = 0.45, 0.9
"""Scores of what merely comes from a stranger, and of what a stranger ordered. Agents follow links
that they read all day, so the first alone leads to no note under the default policy."""
_ORDER = 0.95
"""Score from which a sentence counts as an order to the model: high, since alone it lacks the
document that would show it to be an ordinary step of a manual."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something in a call that names a place, a person or a secret, in lower case."""

    kind: Kind
    text: str


_REASONS: dict[Kind, str] = {
    "host": "The call reaches a host that only untrusted content named.",
    "address": "The call uses a mail address that only untrusted content named.",
    "path": "The call opens a place of secrets that only untrusted content named.",
    "secret": "The call carries a secret that was found in untrusted content.",
}
_CARRIED_OUT = "The call carries out an order that stands in untrusted content."


def marks(text: str) -> tuple[Mark, ...]:
    """What a text names, each once, in the order of their kinds; bounded in number."""
    plain = text[:_MOST_TEXT].lower()
    addresses = _ADDRESS.findall(plain)
    without = _ADDRESS.sub(" ", plain)
    hosts = [host.strip(".-") for host in (*_HOST.findall(plain), *_BARE.findall(without))]
    found: list[Mark] = [Mark("host", host) for host in hosts if not _OWN.fullmatch(host)]
    found += [Mark("address", address) for address in addresses]
    found += [Mark("path", path.lstrip("/")) for path in _PATH.findall(plain)]
    found += [Mark("secret", secret) for secret in _SECRET.findall(plain)]
    return tuple(dict.fromkeys(found))[:_MOST_MARKS]


def trace(
    call: Sequence[str],
    asked: Sequence[str],
    brought: Sequence[str],
    judge: Callable[[str], float],
) -> tuple[Finding, ...]:
    """What a call takes from untrusted content alone; pure, one finding for each kind at most.

    `call` holds the strings of the tool call's arguments, `asked` what the user and the client
    wrote, `brought` what tools brought. `judge` scores, 0 to 1, whether a sentence of untrusted
    content is an order to the model; it is asked only for sentences that name what the call names.
    """
    known = "\n".join(text[:_MOST_TEXT] for text in asked).lower()
    strange = [text[:_MOST_TEXT].lower() for text in brought]
    worst: dict[Kind, Finding] = {}
    for mark in marks("\n".join(call)):
        if _stands_in(mark, known):
            continue
        places = list(_places(mark, brought, strange))
        if not places:
            continue
        found = _finding(mark, max(judge(place) for place in places) >= _ORDER)
        if mark.kind not in worst or found.score > worst[mark.kind].score:
            worst[mark.kind] = found
    return tuple(worst.values())


def _stands_in(mark: Mark, text: str) -> bool:
    """Is the mark in a text as a whole, not as a part of a longer name?"""
    pattern = rf"(?<![\w.-]){re.escape(mark.text)}(?![\w-]|\.\w)"
    return mark.text in text and re.search(pattern, text) is not None


def _places(mark: Mark, brought: Sequence[str], strange: Sequence[str]) -> Iterator[str]:
    """The lines of untrusted texts in which a mark stands, each with the line before; few."""
    for original, lowered in zip(brought, strange, strict=True):
        if not _stands_in(mark, lowered):
            continue
        at = lowered.index(mark.text)
        start = original.rfind("\n", 0, max(original.rfind("\n", 0, at), 0)) + 1
        end = original.find("\n", at)
        yield original[start : end if end >= 0 else len(original)]


def _finding(mark: Mark, ordered: bool) -> Finding:
    return Finding(
        detector=NAME,
        rule=f"provenance.{mark.kind}",
        category=Category.INJECTION,
        score=_ORDERED if ordered else _WARNING,
        reason=_CARRIED_OUT if ordered else _REASONS[mark.kind],
        severity=Severity.HIGH if ordered else Severity.MEDIUM,
        advice="Name the place yourself if you want it to be used.",
    )
