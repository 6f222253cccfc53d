"""Keys, tokens and passwords in text of any language.

Formats that issuers publish are near certain; a random-looking value under a secret's name is
likely; placeholders, examples and hashes are left alone. Reads any language but settles none.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from bluecode.defenses.conversation import Snippet
from bluecode.defenses.verdict import Category, Finding, Severity

RULES = {
    "credentials.private_key": ("A private key is written into the code.", 798),
    "credentials.known_key": ("A key in the format of a known service is in the code.", 798),
    "credentials.assigned": ("A secret's name is given a random-looking constant.", 798),
    "credentials.connection": ("A connection address contains a password.", 798),
}
_ADVICE = "revoke it, and read it from the environment or a secret store"

_KNOWN = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}"
    r"|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,}|glpat-[A-Za-z0-9_-]{20,}"
    r"|xox[abprs]-[A-Za-z0-9-]{20,}|https://hooks\.slack\.com/services/T\w+/B\w+/\w{20,}"
    r"|sk_live_[A-Za-z0-9]{20,}|rk_live_[A-Za-z0-9]{20,}|sk-(?:proj-|ant-)?[A-Za-z0-9_-]{32,}"
    r"|AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{30,}|GOCSPX-[A-Za-z0-9_-]{28}"
    r"|SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}|npm_[A-Za-z0-9]{36}|pypi-AgEI[A-Za-z0-9_-]{50,}"
    r"|hf_[A-Za-z0-9]{34,}|dop_v1_[a-f0-9]{64}|key-[a-f0-9]{32}|SK[a-f0-9]{32}"
    r"|eyJ[A-Za-z0-9_-]{15,}\.eyJ[A-Za-z0-9_-]{15,}\.[A-Za-z0-9_-]{20,}"
    r")(?![A-Za-z0-9])"
)
_MARKS = (
    "AKIA ASIA ABIA ACCA ghp_ gho_ ghu_ ghs_ ghr_ github_pat_ glpat- xox hooks.slack sk_live_ "
    "rk_live_ sk- AIza ya29. GOCSPX- SG. npm_ pypi-AgEI hf_ dop_v1_ key- SK eyJ"
).split()
"""What each of these formats begins with: most text has none of them, which is quick to see."""
_PRIVATE = re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")
_ASSIGNED = re.compile(
    r"(?i)([\w.$-]*(?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|"
    r"auth[_-]?key|client[_-]?secret|(?:jwt|signing|encryption|hmac|aes)[_-]?key)[\w-]*)['\"]?\s*"
    r"(?::\s*&?(?:'static\s+)?[A-Za-z]+\s*=|:=|=>|=|:)\s*(?:(?:\[\])?[A-Za-z]+\s*\(\s*)?"
    r"(['\"`])([^'\"`\n]{8,})\2"
)
_ACCOUNT = re.compile(r"(?i)(?:server|data source|host|user id|uid|initial catalog)\s*=")
_IN_CONNECTION = re.compile(r"(?i)[;\"']\s*(?:password|pwd)\s*=\s*([^;'\"{}\s$]{4,60})(?=[;\"'])")
_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://([^\s:/@'\"]*):([^\s/@'\"]{2,})@[\w.\[-]", re.I)
_PLACEHOLDER = re.compile(
    r"(?i)^$|x{3,}|\*{3,}|\.{3}|<.*>|\{.*\}|\$\{?\w|%\(?\w|your|example|change[_-]?(?:me|it|this)|"
    r"placeholder|dummy|sample|redacted|insert|replace|todo|fixme|n/?a$|^none$|^null$|^test|"
    r"fake|mock|^env|getenv|process\.env|^(?:my|some|the|a)[_ -]|^\w*_?here$|goes[_ -]?here|"
    r"^(?:abc|123|1234|12345|foo|bar|baz)$|not[_-]?(?:set|a)|undefined|secret[_-]?manager|vault"
    r"|^(?:empty|anything|whatever|nothing|unused|ignored|local(?:host)?|ollama|llama\w*|vllm)$"
    r"|\b(?:sk|pk|key|token)-(?:\d{1,6}|abc\w*|key)$"
)
_CONSTANT_NAME = re.compile(r"^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$")
_WORDS = re.compile(r"^[a-z]+(?:[ _./:-][a-z]+)+$|\s.*\s", re.I)
_RANDOM_BITS = 3.2


@dataclass(frozen=True, slots=True)
class Credentials:
    """Finds secrets in the text of a snippet."""

    name: str = "credentials"
    languages: frozenset[str] = frozenset({"*"})
    immediate: ClassVar[bool] = True

    async def inspect(self, snippet: Snippet) -> Sequence[Finding]:
        """Findings for every key or password that stands in the text."""
        return find(snippet)


def find(snippet: Snippet) -> tuple[Finding, ...]:
    """Everything in the text that looks like a live secret, one finding a line and rule."""
    text = snippet.code
    found: dict[tuple[str, int], Finding] = {}

    def note(rule: str, start: int, score: float) -> None:
        line = text.count("\n", 0, start) + 1
        known = found.get((rule, line))
        if known is None or known.score < score:
            found[rule, line] = _finding(rule, line, score)

    for match in _PRIVATE.finditer(text) if "PRIVATE KEY" in text else ():
        note("credentials.private_key", match.start(), _private_score(text, match.end()))
    for match in _KNOWN.finditer(text) if any(mark in text for mark in _MARKS) else ():
        if not _is_example(match.group()):
            # A token may have run out, and many pages show one.
            score = 0.6 if match.group().startswith("eyJ") else 0.85
            note("credentials.known_key", match.start(), score)
    if snippet.language != "python":
        for match in _ASSIGNED.finditer(text):
            likely = plausible(match.group(1), match.group(3))
            if likely >= 0.7:
                note("credentials.assigned", match.start(), likely)
        for match in _URL.finditer(text):
            if url_password(match.group()):
                note("credentials.connection", match.start(), 0.7)
        for match in _IN_CONNECTION.finditer(text):
            line = text[text.rfind("\n", 0, match.start()) + 1 : match.end()]
            if _ACCOUNT.search(line) and plausible("connection", match.group(1)) >= 0.55:
                note("credentials.connection", match.start(), 0.7)
    return tuple(found.values())


def _finding(rule: str, line: int, score: float) -> Finding:
    reason, cwe = RULES[rule]
    return Finding(
        detector="credentials",
        rule=rule,
        category=Category.VULNERABLE_CODE,
        score=score,
        reason=reason,
        severity=Severity.MEDIUM,
        cwe=cwe,
        span=(line, line),
        advice=_ADVICE,
    )


def _private_score(text: str, end: int) -> float:
    """A header alone is what a parser looks for; a body makes it a key."""
    body = re.match(r"(?:\\n|\s|['\"+])*([A-Za-z0-9+/=]{24,})", text[end : end + 200])
    return 0.9 if body else 0.3


def _is_example(key: str) -> bool:
    return (
        bool(re.search(r"(?i)example|xxxx|0{8}|1234567890|abcdefgh|test", key))
        or entropy(key[4:]) < 2.5
    )


def entropy(text: str) -> float:
    """Bits for each character, by how often each one occurs."""
    if not text:
        return 0.0
    counts = Counter(text)
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values())


def plausible(name: str, value: str) -> float:
    """Probability that a constant under this name is a secret in use; 0 for what is surely none."""
    if len(value) < 4 or len(value) > 400 or _PLACEHOLDER.search(value):
        return 0.0
    if _CONSTANT_NAME.match(value) or _WORDS.search(value) or _says_the_same(name, value):
        return 0.0
    if value.startswith(("/", "http://", "https://", "--", "arn:", "projects/")):
        return 0.0
    if re.fullmatch(r"[\w.-]+\.(?:py|json|txt|ya?ml|pem|key|crt|env|ini|html|sql)", value):
        return 0.0
    varied = entropy(value) >= _RANDOM_BITS and len(value) >= 12
    mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    if varied and mixed:
        return 0.8
    return 0.7 if mixed or re.search(r"[^\w]", value) else 0.55


def _says_the_same(name: str, value: str) -> bool:
    """`password_field = "password"`: the constant is itself a name."""
    plain = re.sub(r"[\W_]", "", value).lower()
    return plain in re.sub(r"[\W_]", "", name).lower() or bool(
        re.fullmatch(
            r"(?:user|new|old|current|confirm|access|refresh|auth|bearer|api|csrf|client|id)?"
            r"(?:password\d?|passwd|secret|token|apikey|key|basic|bearer|credentials?)s?",
            plain,
        )
    )


def url_password(text: str) -> bool:
    """Whether an address carries a password that is no placeholder."""
    match = _URL.search(text)
    if match is None:
        return False
    user, password = match.groups()
    weak = password.lower() in ("password", "pass", "pwd", "secret", "user", user.lower())
    return not weak and not _PLACEHOLDER.search(password) and len(password) >= 4
