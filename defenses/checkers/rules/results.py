"""What a function gives back, judged by what its name and comments say that it is for.

A function that makes a page, a log line or an address is a sink of its own: whoever calls it sends
the result on. Such claims are mild, for the name may say it and the code not mean it.
"""

import re

from bluecode.defenses.checkers.rules.tree import Node
from bluecode.defenses.checkers.rules.values import HOLE, Level, Value

_MARKUP = re.compile(r"html|(?:^|_)(?:web)?page(?:$|_)|render(?!er)|markup|webpage", re.I)
_LOG = re.compile(r"(?:^|_|[a-z](?=[A-Z]))(?:log|audit)(?:$|_|ger|[A-Z]|line|entry|message)|"
                  r"\blog (?:entry|line|message|record)", re.I)  # fmt: skip
_ADDRESS = re.compile(r"(?:^|_|[a-z])(?:url|uri|link|endpoint|redirect)s?(?:$|_|[A-Z])", re.I)
_HOST_OPEN = re.compile(rf"^(?:https?:)?//{HOLE}[^/]*{HOLE}")
_TAG_OPEN = re.compile(rf"<\w+[^<>]*>[^<>]*{HOLE}|<\w+[^<>]*=\s*['\"]?{HOLE}")
_STRANGERS = re.compile(
    r"\b(?:user|client)[- ](?:provided|supplied|input|specified|requested|given|controlled)|"
    r"\b(?:user|client)[- ](?:defined|chosen|entered)|\bby (?:a|the) (?:user|client)|"
    r"\bfrom (?:a|an|the) (?:user|client|request|form|query)|\buntrusted|\buploaded|"
    r"\bweb api\b|\battacker|\bvisitor|\brequested\b|\bendpoint",
    re.I,
)


def speaks_of_strangers(comment: str) -> bool:
    """Do a function's comments say that others choose its arguments?"""
    return _STRANGERS.search(comment) is not None


def harm(function: Node, comment: str, value: Value) -> tuple[str, float] | None:
    """The weakness that a returned value is, and how likely."""
    if value.level < Level.PARAMETER or HOLE not in value.shape or len(value.shape) < 2:
        return None
    name = function.name
    text = value.shape
    if value.level_for("line") >= Level.PARAMETER and (
        _LOG.search(name) or "log entry" in comment.lower()
    ):
        return ("log_injection", 0.56) if not _JUST_NAMES.search(name) else None
    if value.level_for("html") >= Level.PARAMETER:
        if _TAG_OPEN.search(text):
            return "xss", 0.6
        if _MARKUP.search(name) or re.search(r"\bhtml\b", comment, re.I):
            return "xss", 0.56
    if value.level_for("url") >= Level.PARAMETER and _ADDRESS.search(name):
        if _HOST_OPEN.match(text):
            return "ssrf", 0.55
        if speaks_of_strangers(comment) and re.match(rf".*{HOLE}/{HOLE}$", text, re.S):
            return "ssrf", 0.52
    return None


_JUST_NAMES = re.compile(r"logo|login|logout|logic|catalog|dialog|blog|analog|changelog", re.I)
