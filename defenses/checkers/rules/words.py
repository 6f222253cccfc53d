"""Words that several languages' rules look for in constants: algorithms, statements, addresses."""

import re
from collections.abc import Callable

from bluecode.defenses.checkers.rules.secrets import is_secret, is_unique, keeps_books, keeps_secret
from bluecode.defenses.checkers.rules.site import Site
from bluecode.defenses.checkers.rules.values import HOLE, Level

WEAK_HASH = re.compile(r"^(?:rsa-)?(?:md[245]|sha-?1|ripemd\d*|sha|hmac-?md5|hmacsha1)$", re.I)
WEAK_CIPHER = re.compile(
    r"^(?:des|rc[24]|bf|blowfish|cast|idea|seed|arcfour|3des|tripledes|desede)|[/-]ecb\b|^aes\d*$",
    re.I,
)
SQL = re.compile(
    r"^\W*(?:select|insert|update|delete|with|replace|create|drop|alter|merge|call|exec)\b|"
    r"\b(?:where|from|values|set|order by|limit|having)\b",
    re.I,
)
_HOST_FIXED = re.compile(rf"https?://[^/{HOLE}]+/|/[^/{HOLE}]")
_SITE_PATH = re.compile(rf"https?://[^/{HOLE}]+/|/[^/\\{HOLE}]|[?#]|\.")
_SHELLS = ("sh", "bash", "zsh", "dash", "cmd", "cmd.exe", "powershell", "powershell.exe", "pwsh")


def weak_hash(site: Site) -> float:
    """A call whose first text names a broken hash."""
    return broken_hash(site) if WEAK_HASH.match(site.text(0)) else 0.0


def broken_hash(site: Site) -> float:
    """A broken hash, the worse where it protects something, and no matter where it only tells
    contents apart."""
    if keeps_books(site.purpose):
        return 0.45
    return 0.78 if keeps_secret(site.purpose) else 0.58


def weak_cipher(site: Site) -> float:
    """A call whose first text names a broken cipher or mode."""
    return 0.82 if WEAK_CIPHER.search(site.text(0)) else 0.0


def random_secret(site: Site) -> float:
    """A predictable generator where the names around speak of a secret, or of what only one may
    have and others may not guess."""
    if is_secret(site.purpose):
        return 0.0 if site.mentions(r"(?i)\bguess") else 0.72  # the secret of a game
    return 0.52 if is_unique(site.purpose) else 0.0


def speaks_sql(site: Site, index: int = 0) -> bool:
    """Does the argument's known text look like SQL?"""
    return bool(SQL.search(site.arg(index).shape))


def chooses_host(site: Site, index: int = 0) -> bool:
    """Is the host of the address open?"""
    return not _HOST_FIXED.match(site.arg(index).shape)


def leads_away(site: Site, index: int = 0) -> bool:
    """Can the address of a redirect be another site's?"""
    return not _SITE_PATH.match(site.arg(index).shape)


def is_shell(site: Site, index: int = 0) -> bool:
    """Is the program a shell?"""
    return site.text(index).replace("\\", "/").rpartition("/")[2] in _SHELLS


def cors_header(site: Site) -> float:
    """A header that lets any site, or whichever asks, read the answers."""
    if site.text(0) != "access-control-allow-origin":
        return 0.0
    if site.arg(1).known == "*":
        return 0.5
    return 0.7 if site.arg(1).level >= Level.REQUEST and site.mentions(_LOGINS) else 0.0


_LOGINS = r"(?i)access-control-allow-credentials"


_ADDRESS = re.compile(r"(?:URL(?:\.Path)?|RequestURI|Method|Host|[uU]rl|path|method|ip|hostname)$")


def more_than_address(site: Site) -> bool:
    """Is more logged of a request than where it went? Servers do that for each."""
    return any(
        value.level >= Level.REQUEST
        and not _ADDRESS.search(value.path)
        and not (node.role == "name" and node.name in _FAILURES)
        for node, value in zip(site.node.args, site.args, strict=True)
    )


_FAILURES = frozenset({"err", "error", "e", "ex", "exc", "exception"})


def shared_folder(site: Site) -> float:
    """A file with a name that is known or guessed, in the folder that all users share."""
    name = site.arg(0).shape
    if _SHARED.match(name):
        return 0.5
    parts = (part.name for arg in site.node.args[:1] for part in arg.walk() if part.role == "call")
    return 0.5 if name.startswith("/tmp/") and _GUESSED & set(parts) else 0.0


_SHARED = re.compile(rf"/tmp/[^{HOLE}]+$")
_GUESSED = frozenset({"currentTimeMillis", "nanoTime", "time", "getpid", "Getpid", "now", "Now",
                      "Unix", "UnixNano", "microtime"})  # fmt: skip
"""Calls whose answer others can guess."""


def plain_address(site: Site) -> float:
    """An address without encryption, of a machine that is not this one or a neighbour."""
    return 0.5 if _PLAIN.match(site.arg(0).shape) else 0.0


_PLAIN = re.compile(r"http://(?!localhost|127\.|0\.|\[?::1|10\.|192\.168|[\w-]+[:/]|[\w-]+$)", re.I)


def mode_for_others(mode: str | None, purpose: str) -> float:
    """Rights for everybody to write; or for others to read what the names around call secret."""
    match = _MODE.fullmatch((mode or "").replace("_", "").strip("'\""))
    bits = int(match.group(1), 8) if match is not None else 0
    if bits & 0o002:
        return 0.78
    return 0.62 if bits & 0o077 and is_secret(purpose) else 0.0


_MODE = re.compile(r"0?o?[0-7]?([0-7]{3})")


def few_bits(least: int = 2048, index: int = 0) -> Callable[[Site], float]:
    """A test for a size that is too small."""

    def test(site: Site) -> float:
        bits = (site.arg(index).known or "").replace("_", "")
        return 0.85 if bits.isdigit() and 256 <= int(bits) < least else 0.0

    return test
