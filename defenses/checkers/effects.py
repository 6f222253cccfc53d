"""What an attack did where it arrived, by comparing it with what a benign input did there.

Each judge sees the text at a sink under attack and, where there was one, under a benign input. The
question is never which function was called but what the payload became: syntax, a path elsewhere,
markup, another host, or nothing but data. Pure functions of text.
"""

import ast
import ipaddress
import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

INTERNAL = ".internal.example"  # the guest's resolver answers a private address for it


class Effect(Enum):
    HARM = "harm"
    NEUTRAL = "neutral"
    """The payload arrived and stayed data."""
    OWN = "own"
    """The whole value is the caller's own: there is nothing that it could break out of."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Attack:
    """What a judge may look at."""

    text: str
    """At the sink, under attack."""
    payload: str
    marker: str
    """The run's token; in the text it is followed by the letter of its source."""
    own: str
    """The marker of the attacked source: the token and its letter."""
    benign: str | None = None
    """At the same sink, under a benign input."""
    whole: bool = False
    """The benign value arrived exactly as it was given."""
    detail: Mapping[str, Any] | None = None

    @property
    def shows(self) -> bool:
        return self.marker in self.text.lower()

    @property
    def reference(self) -> str | None:
        """What the text would be with harmless data, where that can be told."""
        if self.benign is not None or self.payload not in self.text:
            return self.benign
        return self.text.replace(self.payload, self.marker + "a")


def judge(kind: str, attack: Attack) -> Effect:
    """What came of the payload. `UNKNOWN` where it cannot be seen any more."""
    if not attack.shows:
        return Effect.UNKNOWN
    if kind in BY_SHAPE:
        reference = attack.reference
        return Effect.UNKNOWN if reference is None else BY_SHAPE[kind](attack, reference)
    return JUDGES[kind](attack) if kind in JUDGES else Effect.UNKNOWN


# --- Syntax: the shape of the text must be the same for any data --------------------------------

_SHELL = re.compile(
    r"""(?P<single>'[^']*')|(?P<escape>\\.)|(?P<double>"(?:[^"\\]|\\.)*")|(?P<open>['"])"""
    r"""|(?P<op>\$\(|`|&&|\|\||[;|&\n<>()])""",
    re.DOTALL,
)
_WITHIN = re.compile(r"\\.|(\$\(|`)", re.DOTALL)


def shell_shape(command: str) -> list[str]:
    """Operators and substitutions that a POSIX shell would act on."""
    shape: list[str] = []
    for found in _SHELL.finditer(command.strip()):
        if found["op"]:
            shape.append(found["op"])
        elif found["open"]:
            shape.append("unterminated")
        elif found["double"]:
            shape += [inner[1] for inner in _WITHIN.finditer(found["double"]) if inner[1]]
    return shape


_SQL = re.compile(
    r"(?P<string>'(?:[^']|'')*')|(?P<name>\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|\[[\w .$-]+\])"
    r"|(?P<comment>--[^\n]*|/\*.*?\*/|\#[^\n]*)|(?P<number>\b\d+(?:\.\d+)?\b)|(?P<word>[\w@$]+)"
    r"|(?P<mark>[^\s\w])",
    re.DOTALL,
)
_BACKSLASHED = re.compile(r"'(?:[^'\\]|''|\\.)*'", re.DOTALL)


def sql_shape(statement: str, marker: str = "", *, backslash: bool = False) -> list[str]:
    """Tokens of a statement, with literals told by their kind alone."""
    if backslash:
        statement = _BACKSLASHED.sub("''", statement)
    shape: list[str] = []
    for found in _SQL.finditer(statement):
        group, text = found.lastgroup or "", found[0]
        if group in ("string", "number", "name", "comment"):
            shape.append(group)
        elif marker and re.fullmatch(rf"{marker}[a-z]?", text, re.IGNORECASE):
            shape.append("datum")
        else:
            shape.append(text.upper())
    return shape


def _sql(attack: Attack, reference: str) -> Effect:
    if attack.whole:
        return Effect.OWN
    for backslash in (False, _backslashes(attack)):
        before = sql_shape(reference, attack.marker, backslash=backslash)
        if sql_shape(attack.text, attack.marker, backslash=backslash) != before:
            return Effect.HARM
    return Effect.NEUTRAL


def _backslashes(attack: Attack) -> bool:
    api = str((attack.detail or {}).get("api", "")).lower()
    return "mysql" in api


def _shell(attack: Attack, reference: str) -> Effect:
    changed = shell_shape(attack.text) != shell_shape(reference)
    return Effect.HARM if changed else Effect.NEUTRAL


def _argv(attack: Attack) -> Effect:
    """Without a shell there is no syntax; whoever names the program may be meant to."""
    words = attack.text.split()
    chosen = bool(words) and attack.marker in words[0].lower()
    return Effect.OWN if chosen else Effect.NEUTRAL


def _xpath(attack: Attack, reference: str) -> Effect:
    changed = sql_shape(attack.text, attack.marker) != sql_shape(reference, attack.marker)
    return Effect.HARM if changed else Effect.NEUTRAL


def _ldap(attack: Attack, reference: str) -> Effect:
    def shape(text: str) -> list[str]:
        return re.findall(r"[()&|!*]", text)

    return Effect.HARM if shape(attack.text) != shape(reference) else Effect.NEUTRAL


# --- Code and templates -------------------------------------------------------------------------

_ACTS = (ast.Call, ast.Attribute, ast.Name, ast.BinOp, ast.Subscript)


def code_shape(source: str) -> list[str] | None:
    """Kinds of the syntax nodes that act, or None where it does not parse."""
    try:
        tree = ast.parse(source.strip())
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    return [type(node).__name__ for node in ast.walk(tree) if isinstance(node, _ACTS)]


def _code(attack: Attack, reference: str) -> Effect:
    shape, before = code_shape(attack.text), code_shape(reference)
    if shape is not None and before is not None:
        return Effect.HARM if shape != before else Effect.NEUTRAL
    acting, given = _skeleton(attack.text), _skeleton(attack.payload)
    outside = attack.marker in acting.lower() or (given.strip("'") and given in acting)
    return Effect.HARM if outside and attack.payload.strip() in attack.text else Effect.UNKNOWN


def _skeleton(source: str) -> str:
    """Source text without what its strings hold."""
    return _STRING.sub("''", source.strip())


_STRING = re.compile(r"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"")


def _template(attack: Attack) -> Effect:
    if (attack.detail or {}).get("sandboxed"):
        return Effect.NEUTRAL
    acts = re.search(
        rf"\{{\{{[^}}]*{attack.marker}|\$\{{[^}}]*{attack.marker}|<%[^%]*{attack.marker}",
        attack.text,
        re.IGNORECASE,
    )
    return Effect.HARM if acts else Effect.NEUTRAL


def _pattern(attack: Attack) -> Effect:
    return Effect.HARM if attack.payload.strip() in attack.text else Effect.NEUTRAL


def _always(attack: Attack) -> Effect:
    """For a place where outside data does harm whatever it says."""
    return Effect.HARM


def _xml(attack: Attack) -> Effect:
    resolves = (attack.detail or {}).get("resolves")
    if "<!ENTITY" in attack.text and resolves is True:
        return Effect.HARM
    if resolves is not False:
        return Effect.UNKNOWN
    api = str((attack.detail or {}).get("api", ""))
    return Effect.NEUTRAL if api.startswith("lxml") else Effect.UNKNOWN


# --- Places -------------------------------------------------------------------------------------


def _path(attack: Attack, reference: str) -> Effect:
    reached = attack.text
    if attack.whole:
        return Effect.OWN
    at = reference.lower().find(attack.own)
    if at < 0 or not reached.startswith("/") or attack.benign is None:
        return Effect.UNKNOWN
    folder = reference[:at].rpartition("/")[0]
    inside = posixpath.normpath(reached).startswith(folder.rstrip("/") + "/")
    return Effect.NEUTRAL if inside else Effect.HARM


def browser_host(location: str) -> str | None:
    """The host that a browser would go to; None for a path on the same site."""
    text = re.sub(r"[\t\r\n]", "", location.strip()).replace("\\", "/")
    if re.match(r"(?:javascript|data|vbscript):", text, re.IGNORECASE):
        return "script"
    try:
        return urlsplit(text).hostname
    except ValueError:
        return "unreadable"


def _redirect(attack: Attack) -> Effect:
    host = browser_host(attack.text)
    if host is None:
        return Effect.NEUTRAL
    return Effect.HARM if host in ("script", "unreadable") or attack.own in host else Effect.NEUTRAL


def _url(attack: Attack, reference: str) -> Effect:
    try:
        parts, before = urlsplit(attack.text.strip()), urlsplit(reference.strip())
        host, usual = parts.hostname or "", before.hostname or ""
    except ValueError:
        return Effect.UNKNOWN
    if parts.scheme == "file":
        return Effect.OWN if attack.whole else Effect.HARM
    if not host or host == usual:
        climbs = "/../" in parts.path  # another resource of the same host: not what was meant
        return Effect.UNKNOWN if climbs else Effect.NEUTRAL
    if is_private(host) or host.endswith(INTERNAL):
        return Effect.OWN if attack.whole else Effect.HARM
    fixed = usual.rpartition(attack.marker)[2].lstrip("abcdefghijklmnopqrstuvwxyz")
    return Effect.NEUTRAL if fixed and host.endswith(fixed) else Effect.UNKNOWN


def is_private(host: str) -> bool:
    """Loopback, link-local or private, however the address is spelled."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(
            int(host, 0) if re.fullmatch(r"0x[0-9a-f]+|\d+", host) else host
        )
    except ValueError:
        return False
    return not address.is_global


# --- Lines and markup ---------------------------------------------------------------------------


def _line_break(attack: Attack) -> Effect:
    broken = re.search(rf"{attack.marker}[a-z]?[\r\n]", attack.text, re.IGNORECASE)
    return Effect.HARM if broken else Effect.NEUTRAL


class _Outline(HTMLParser):
    """Tags and the names of their attributes."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.shape: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.shape.append(" ".join([tag, *sorted(name for name, _ in attrs)]))
        links = [value or "" for name, value in attrs if name in ("href", "src", "action")]
        if any(re.match(r"\s*javascript:", value, re.IGNORECASE) for value in links):
            self.shape.append("script link")


def page_shape(text: str) -> list[str]:
    outline = _Outline()
    outline.feed(text)
    outline.close()
    return outline.shape


def _page(attack: Attack, reference: str) -> Effect:
    if (attack.detail or {}).get("type") == "collection":
        return Effect.UNKNOWN  # a function's own data, not a page
    changed = page_shape(attack.text) != page_shape(reference)
    return Effect.HARM if changed else Effect.NEUTRAL


def _nosql(attack: Attack) -> Effect:
    return Effect.HARM if (attack.detail or {}).get("operators") else Effect.NEUTRAL


BY_SHAPE: Mapping[str, Callable[[Attack, str], Effect]] = {
    "shell": _shell,
    "sql": _sql,
    "path": _path,
    "page": _page,
    "url": _url,
    "code": _code,
    "ldap": _ldap,
    "xpath": _xpath,
}
"""Judged against what harmless data would have made of it."""

JUDGES: Mapping[str, Callable[[Attack], Effect]] = {
    "argv": _argv,
    "redirect": _redirect,
    "template": _template,
    "xml": _xml,
    "log": _line_break,
    "header": _line_break,
    "raw_header": _line_break,
    "mail": _line_break,
    "pattern": _pattern,
    "object": _always,
    "import": _always,
    "nosql": _nosql,
}
