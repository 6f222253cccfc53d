"""How code keeps secrets: written into calls, written to logs, stored as they were typed."""

import re
from collections.abc import Callable, Iterable

from bluecode.defenses.checkers.credentials import plausible
from bluecode.defenses.checkers.rules.site import Site
from bluecode.defenses.checkers.rules.tree import Node, path_of
from bluecode.defenses.checkers.rules.values import Level, Value

_TYPED = re.compile(r"(?:^|[._\[])(?:\w*password|passwd|pwd|passphrase)$", re.I)
_NEVER_LOGGED = re.compile(
    r"(?:^|[._])(?:\w*password|passwd|passphrase|pwd|pass|\w*secret(?:_?key)?|\w*api_?key|"
    r"\w*private_?key|cvv2?|credit_?card(?:_?num(?:ber)?)?|card_?number|ssn)$",
    re.I,
)
_STORES = re.compile(
    r"(?is)\b(?:insert\s+into|replace\s+into)\b.*\bpass(?:word|wd)?\b|"
    r"\bupdate\b.*\bset\b.*\bpass(?:word|wd)?\s*="
)
_NOT_SHOWN = re.compile(
    r"length|size|len|hash|mask|redact|bcrypt|crypt|digest|strlen|encrypt|hide", re.I
)


def literal_secret(*at: int, least: int = 4) -> Callable[[Site], float]:
    """A test for a password or key that stands in the code as one of these arguments."""

    def test(site: Site) -> float:
        known = [site.arg(index).known for index in at]
        written = [_written(site.node.args[index]) for index in at if index < len(site.args)]
        texts = [text for text in (*known, *written) if text]
        return max((_in_use(text, least) for text in texts), default=0.0)

    return test


_AS_BYTES = frozenset({"GetBytes", "getBytes", "from", "as_bytes", "as_ref", "encode", "byte",
                       "Encode", "toCharArray", "decode", "b64decode", "into"})  # fmt: skip


def _written(node: Node) -> str | None:
    """The text in `Encoding.UTF8.GetBytes("…")` and its like."""
    if node.role == "text":
        return node.name
    if node.role == "call" and node.name in _AS_BYTES:
        inner = node.args[0] if node.args else node.base
        return _written(inner) if inner is not None else None
    return _written(node.args[0]) if node.role == "cast" and node.args else None


def _in_use(text: str, least: int) -> float:
    return 0.62 if len(text) >= least and plausible("key", text) >= 0.55 else 0.0


def logs_secret(site: Site) -> float:
    """A log call that is given a password or a key as it is."""
    return 0.55 if any(_bare(arg) for arg in site.node.args) else 0.0


def _bare(node: Node) -> bool:
    """Is a secret in there that no call turned into something else?"""
    if node.role in ("name", "member"):
        return _NEVER_LOGGED.search(path_of(node) or node.name) is not None
    if node.role == "call":
        return node.name in _FORMATS and any(_bare(arg) for arg in node.args)
    if node.role in ("join", "cast", "unary", "object", "array", "binary"):
        return node.name not in ("==", "!=", "!", "<", ">") and any(map(_bare, node.args))
    if node.role == "pair":
        return any(map(_bare, node.args))
    return False


_FORMATS = frozenset({"format", "format!", "sprintf", "Sprintf", "Format", "String.format"})


def stores_typed(site: Site) -> float:
    """A statement that writes a password column, with a password as somebody typed it."""
    for at, value in enumerate(site.args):
        if _STORES.search(value.shape):
            return 0.55 if any(_typed(one) for one in _parts(site.args[at + 1 :])) else 0.0
    return 0.0


def inserts_typed(site: Site) -> float:
    """A document whose field `password` is what somebody typed."""
    for pair in (part for arg in site.node.args[:1] for part in arg.walk() if part.role == "pair"):
        if re.fullmatch(r"(?i)password|passwd|pwd", pair.name) and pair.args:
            value = site.arg(0).fields.get(pair.name)
            if (value is None or value.level >= Level.REQUEST) and _as_typed(pair.args[0]):
                return 0.55
    return 0.0


def _as_typed(node: Node) -> bool:
    """A name, or a call that only says what kind of value it is."""
    if node.role == "call" and node.name in ("String", "toString", "trim"):
        inner = node.base if node.base is not None else (node.args[0] if node.args else None)
        return inner is not None and _as_typed(inner)
    return node.role in ("name", "member") and _TYPED.search(path_of(node)) is not None


def _parts(values: Iterable[Value]) -> Iterable[Value]:
    for value in values:
        yield value
        yield from value.items


def _typed(value: Value) -> bool:
    return (
        value.level >= Level.REQUEST
        and _TYPED.search(value.path.removesuffix("[]")) is not None
        and not _NOT_SHOWN.search(value.path)
    )
