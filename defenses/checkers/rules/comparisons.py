"""Comparisons that decide about access: of secrets in variable time, with passwords that stand in
the code, of addresses that the client chooses.

What is compared is known by its name and by where it came from; a comparison of tokens that are
only parts of a text says nothing.
"""

import re
from collections.abc import Sequence

from bluecode.defenses.checkers.credentials import plausible
from bluecode.defenses.checkers.rules.state import Run
from bluecode.defenses.checkers.rules.tree import Node, path_of
from bluecode.defenses.checkers.rules.values import Level, Value

Part = tuple[Node, Value]
"""What is compared, and what it holds."""

EQUALS = frozenset({
    "equals", "Equals", "equalsIgnoreCase", "strcmp", "strcasecmp", "memcmp", "EqualFold", "eq",
    "SequenceEqual", "bcmp", "contentEquals",
})  # fmt: skip
"""Calls that compare two values, and take the longer the more of them is alike."""
MEMBER_OF = frozenset({"includes", "in_array", "contains", "Contains", "include?", "startsWith",
                       "StartsWith", "HasPrefix", "start_with?", "starts_with",
                       "str_starts_with", "indexOf", "has"})  # fmt: skip
"""Calls that look for a value among others, or for its beginning."""

_SIGNING = re.compile(
    r"createHmac|HmacSHA|Mac\.getInstance|hmac\.New\(|HMACSHA\d|Hmac::<|OpenSSL::HMAC|hash_hmac|"
    r"\bHMAC\(|HMAC_(?:Init|Final)|crypto_auth\("
)
_SIGNED = re.compile(
    r"(?:^|[._])(?:\w*sig(?:nature)?|\w*hmac\w*|\w*_?mac|\w*digest|expected\w*|computed\w*|"
    r"calculated\w*)$",
    re.I,
)
_DIGESTS = frozenset({"digest", "hexdigest", "doFinal", "Sum", "ComputeHash", "finalize",
                      "hash_hmac", "base64digest"})  # fmt: skip
_SECRET = re.compile(
    r"(?:^|[._ ])\w*(?:token|secret|api_?key|access_?key|signature|hmac|passw(?:or)?d)$", re.I
)
_KEPT = re.compile(r"process\.env|\bENV\b|getenv|environ|config|settings|secrets?\b", re.I)
_PASSWORD = re.compile(r"(?:^|[._])(?:\w*password|passwd|pwd|passphrase|pw|pin_?code)$", re.I)
_KEY = re.compile(
    r"(?:^|[._])\w*(?:password|passwd|pwd|passphrase|api_?key|secret|token|pw)$", re.I
)
_FORM = re.compile(
    r"(?:^|\.)(?:form\w*|values|state|props|data|body|input\w*|this|self|errors|fields|refs|"
    r"params|model|formData|req|request|dto|vm|controls)$",
    re.I,
)
_PLACE = re.compile(r"^(?:\d{1,3}(?:\.\d{1,3}){0,3}\.?|::1|fe80::\w*|localhost|::ffff:127.*)$")
_CLIENT = re.compile(
    r"(?:^|[._])(?:client|remote|user|real|source|peer|visitor|caller)?_?(?:ip|ip_?addr(?:ess)?)$",
    re.I,
)
_ASKS_CLIENT = re.compile(
    r"x-forwarded-for|X_FORWARDED_FOR|x-real-ip|HTTP_CLIENT_IP|client-ip|REMOTE_ADDR|"
    r"remoteAddress|getRemoteAddr|RemoteAddr\b|RemoteIpAddress|remote_ip|remote_addr|\breq\.ip\b|"
    r"request\.ip\b",
    re.I,
)
_SAID_BY_CLIENT = re.compile(r"forwarded|x-real-ip|client-ip|HTTP_CLIENT_IP", re.I)


def compared(run: Run, node: Node, parts: Sequence[Part]) -> None:
    """Two values are compared for being the same."""
    if len(parts) != 2 or any(part.role == "constant" for part, _ in parts):
        return
    one, other = parts
    for left, right in ((one, other), (other, one)):
        if _literal(right):
            _with_text(run, node, left, right)
            return
    if any(_of_no_weight(part) for part, _ in parts):
        return
    if _signatures(run, parts):
        run.claim("timing_comparison", node, 0.58)
    elif any(_stored_password(a, b) for a, b in ((one, other), (other, one))):
        run.claim("plain_password", node, 0.52)
    elif any(_given_and_kept(a, b) for a, b in ((one, other), (other, one))):
        run.claim("timing_comparison", node, 0.52)


def looked_for(run: Run, node: Node, parts: Sequence[Part]) -> None:
    """A value is looked for in a list, or a list or a beginning in a value."""
    if len(parts) < 2:
        return
    for (what, _), (_, held) in ((parts[0], parts[1]), (parts[1], parts[0])):
        texts = [item.known or "" for item in held.items] or [held.known or ""]
        if texts[0] and all(_PLACE.match(text) for text in texts):
            _address(run, node, what, exact=node.name not in ("indexOf",))
            return


def _literal(part: Part) -> bool:
    node, value = part
    return node.role == "text" or value.level is Level.NONE and value.known is not None


def _of_no_weight(node: Node) -> bool:
    return node.role in ("number", "text") or (
        node.role in ("member", "call")
        and node.name.lower() in ("length", "len", "size", "count", "type")
    )


def _with_text(run: Run, node: Node, part: Part, text: Part) -> None:
    known = text[1].known or (text[0].name if text[0].role == "text" else "")
    if _PLACE.match(known):
        _address(run, node, part[0], exact=True)
        return
    name = _name(part[0])
    if _KEY.search(name) and len(known) >= 6 and part[1].level >= Level.UNKNOWN:
        if plausible(name, known) >= 0.7:
            run.claim("hardcoded_secret", node, 0.6)


def _name(node: Node) -> str:
    """The name that stands for a value: of itself, or of what a call is made on."""
    path = path_of(node)
    if path:
        return path
    if node.role == "index" and node.args and node.args[0].role == "text":
        return node.args[0].name.replace("-", "_")
    if node.role in ("call", "unary", "cast"):
        inner = node.base if node.base is not None else (node.args[0] if node.args else None)
        return _name(inner) if inner is not None else ""
    return ""


def _signatures(run: Run, parts: Sequence[Part]) -> bool:
    """A signature that was just computed, and the one that somebody sent."""
    made = [
        _SIGNED.search(_name(node)) is not None
        or any(part.role == "call" and part.name in _DIGESTS for part in node.walk())
        for node, _ in parts
    ]
    if not any(made) or not run.says(_SIGNING):
        return False
    return all(value.level > Level.NONE or own for (_, value), own in zip(parts, made, strict=True))


def _words(node: Node) -> str:
    return " ".join(
        path_of(part) or part.name
        for part in node.walk()
        if part.role in ("name", "member", "text")
    )


def _given_and_kept(given: Part, kept: Part) -> bool:
    """What a request brings, and a secret of the program."""
    words = _words(kept[0])
    if kept[1].level >= Level.REQUEST or not any(map(_SECRET.search, words.split(" "))):
        return False
    if given[1].level >= Level.REQUEST:
        return _KEPT.search(words) is not None or _SECRET.search(_name(given[0])) is not None
    return given[1].level is Level.PARAMETER and _KEPT.search(words) is not None


def _stored_password(given: Part, stored: Part) -> bool:
    """`user.password === password`: what is kept is the password itself."""
    held = stored[0]
    field = held.role == "member" or held.role == "call" and not held.args
    if not field or not _PASSWORD.search(held.name):
        return False
    if held.name.lower() != _name(given[0]).rpartition(".")[2].lower():
        return False
    holder = path_of(held.base)
    own = given[0].role == "name" or given[1].level >= Level.REQUEST
    return own and bool(holder) and not _FORM.search(holder)


def _address(run: Run, node: Node, what: Node, *, exact: bool) -> None:
    """Who may do something is decided by where the request seems to come from."""
    words = _words(what)
    direct = _ASKS_CLIENT.search(words) is not None
    if not direct and not (_CLIENT.search(_name(what)) and run.says(_ASKS_CLIENT)):
        return
    said = _SAID_BY_CLIENT.search(words) if direct else run.says(_SAID_BY_CLIENT)
    run.claim("spoofable_identity", node, 0.6 if said and exact else 0.5)
