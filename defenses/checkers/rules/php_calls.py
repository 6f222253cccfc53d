"""PHP: what makes a call wrong, as tests of one call or one value."""

import re

from bluecode.defenses.checkers.python_regex import explodes
from bluecode.defenses.checkers.rules.secrets import is_password, keeps_books, names_login
from bluecode.defenses.checkers.rules.site import Site
from bluecode.defenses.checkers.rules.values import Level
from bluecode.defenses.checkers.rules.words import (
    WEAK_CIPHER,
    broken_hash,
    mode_for_others,
)


def hash_call(site: Site) -> float:
    """`md5` on its own is mild; on a password it is not."""
    words = site.purpose + " " + argument_names(site)
    if is_password(words):
        return 0.0
    if keeps_books(words):
        return 0.45
    return broken_hash(site) if re.search(r"token|auth|sign|secret", words) else 0.52


def password_hash(site: Site) -> float:
    """A fast hash of something called a password."""
    words = site.purpose + " " + argument_names(site)
    return 0.8 if is_password(words) else 0.0


def argument_names(site: Site) -> str:
    """Lower-case names and texts in the arguments."""
    return " ".join(
        part.name.lower() for arg in site.node.args for part in arg.walk()
        if part.role in ("name", "member", "text")
    )  # fmt: skip


def named_hash(site: Site) -> float:
    """A broken hash by name."""
    if site.text(0) in ("md5", "sha1", "md4", "crc32"):
        return 0.8 if is_password(site.purpose + " " + argument_names(site)) else 0.55
    return 0.0


def cipher(site: Site) -> float:
    """A broken cipher or mode."""
    return 0.82 if WEAK_CIPHER.search(site.text(1)) or "-ecb" in site.text(1) else 0.0


def fixed_vector(site: Site) -> float:
    """An initialisation vector that stands in the code."""
    if len(site.args) < 5:
        return 0.0
    vector = site.arg(4)
    made = vector.path.startswith(("str_repeat", "substr")) or vector.known
    return 0.78 if vector.level is Level.NONE and made else 0.0


def unique(site: Site) -> float:
    """A time stamp that is taken for a secret."""
    return (
        0.6 if re.search(r"token|secret|passw|session|key|nonce|csrf|salt", site.purpose) else 0.0
    )


def cookie(site: Site) -> float:
    """A cookie that scripts can read."""
    flag = site.option("httponly", "HttpOnly")
    if flag is not None:
        return 0.0
    if len(site.args) >= 7 and site.arg(6).known == "true":
        return 0.0
    return 0.6 if names_login(site.text(0)) else 0.45


def curl(site: Site) -> float:
    """Certificate checks that are switched off."""
    option = site.node.args[1].name if len(site.node.args) > 2 else ""
    if option in ("CURLOPT_SSL_VERIFYPEER", "CURLOPT_SSL_VERIFYHOST"):
        return 0.86 if site.arg(2).known in ("false", "0") else 0.0
    return 0.0


def backtracks(site: Site) -> float:
    """An expression that backtracks exponentially."""
    text = site.arg(0).known or ""
    inner = text[1:].rpartition(text[0])[0] if len(text) > 2 else ""
    return 0.65 if inner and explodes(inner) else 0.0


def is_redirect(site: Site) -> bool:
    """Does the header send the browser elsewhere?"""
    return site.arg(0).shape.lower().startswith("location")


def goes_away(site: Site) -> bool:
    """Does it send the browser to an open address?"""
    return is_redirect(site) and not re.match(
        r"(?i)location:\s*(?:https?://[^/\0]+/|/[^/\\\0]|[\w-]+\.php|\.|\?)", site.arg(0).shape
    )


def xml(site: Site) -> float:
    """An option that loads external entities."""
    words = {part.name for arg in site.node.args for part in arg.walk() if part.role == "name"}
    return 0.75 if words & {"LIBXML_NOENT", "LIBXML_DTDLOAD"} else 0.0


def debug(site: Site) -> float:
    """Errors shown to everybody."""
    if site.text(0) not in ("display_errors", "display_startup_errors"):
        return 0.0
    return 0.52 if site.text(1) in ("1", "on", "true", "stdout") else 0.0


def mode(site: Site) -> float:
    """A mode that gives others too much."""
    return mode_for_others(site.arg(1).known, site.purpose)
