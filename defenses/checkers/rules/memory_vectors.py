"""Vectors and salts in C and C++ that stand in buffers: which of them are the same every time.

A buffer is fixed where constants were written into it and nothing else had it in hand before the
cipher got it. Whatever is handed to an unknown call may be random from there on.
"""

import re
from collections.abc import Iterator

from bluecode.defenses.checkers.rules.memory_body import Body, Event
from bluecode.defenses.checkers.rules.memory_checks import alike
from bluecode.defenses.checkers.rules.state import Run
from bluecode.defenses.checkers.rules.tree import Node, path_of

_TAKES = {
    "EVP_EncryptInit_ex": ("fixed_iv", 4), "EVP_EncryptInit_ex2": ("fixed_iv", 3),
    "EVP_EncryptInit": ("fixed_iv", 3), "EVP_CipherInit_ex": ("fixed_iv", 4),
    "AES_cbc_encrypt": ("fixed_iv", 4), "AES_cfb128_encrypt": ("fixed_iv", 4),
    "AES_ofb128_encrypt": ("fixed_iv", 4), "mbedtls_aes_crypt_cbc": ("fixed_iv", 3),
    "gcry_cipher_setiv": ("fixed_iv", 1),
    "PKCS5_PBKDF2_HMAC": ("fixed_salt", 2), "PKCS5_PBKDF2_HMAC_SHA1": ("fixed_salt", 2),
    "EVP_PBE_scrypt": ("fixed_salt", 2), "crypto_pwhash": ("fixed_salt", 4),
}  # fmt: skip
"""Calls that take a vector or a salt, and where."""
_OPENS = re.compile(r"DECRYPT|^0$")
"""What says that a call takes a message apart: whoever made it chose the vector."""
_LIKELY = {"fixed_iv": 0.75, "fixed_salt": 0.75}
_OF_A_PERSON = re.compile(r"^(?:user|login|account|e?mail)(?:_?(?:name|id|addr\w*))?$", re.I)
_DEEPEST = 4


def vectors(run: Run, body: Body) -> None:
    """Every vector and salt in this function that never changes, and salts that are names."""
    for event in body.calls:
        taken = _TAKES.get(event.node.name)
        if taken is None or len(event.node.args) <= taken[1]:
            continue
        rule, at = taken
        if rule == "fixed_iv" and any(_OPENS.search(word) for word in _said(event.node)):
            continue
        given = _plain(event.node.args[at])
        if _fixed(run, body, given, event, _DEEPEST):
            run.claim(rule, event.node, _LIKELY[rule])
        elif rule == "fixed_salt" and _OF_A_PERSON.match(path_of(given).rpartition(".")[2]):
            run.claim(rule, event.node, 0.6)


def _said(call: Node) -> Iterator[str]:
    for arg in call.args:
        if arg.role in ("name", "number", "constant"):
            yield arg.name


def _plain(node: Node) -> Node:
    """What a cast, `&b[0]` and `b.data()` are made of."""
    while True:
        if node.role == "cast" and node.args:
            node = node.args[0]
        elif node.role == "unary" and node.name == "&" and node.args[0].role == "index":
            node = node.args[0].base or node.args[0]
        elif node.role == "call" and node.name in ("data", "c_str") and node.base is not None:
            node = node.base
        else:
            return node


def _fixed(run: Run, body: Body, given: Node, taker: Event, depth: int) -> bool:
    """Was nothing but constants written into it?"""
    if given.role == "text":
        return len(given.name) > 1
    name = path_of(given)
    local = body.locals.get(name)
    if not name or local is None:
        return not name and _cleared(body, given, taker)
    if local.parameter or depth == 0:
        return False
    written = False
    events = body.by_key[name]
    run.spend(len(events) + len(body.events))
    copied = {id(_plain(e.value)) for e in body.events if e.kind == "store" and e.value is not None}
    for event in events:
        if event.order >= taker.order or _within(event.node, taker.node):
            continue
        if event.kind == "store" and event.value is not None:
            value = _plain(event.value)
            same = bool(path_of(value)) and _fixed(run, body, value, event, depth - 1)
            written = same or _constant(value)
        elif event.kind == "deref" and event.node.name in ("memset", "bzero"):
            written = _clears(event.node)
        elif event.kind not in ("test", "bound") and id(event.node) not in copied:
            written = False  # it may have been filled
    return written


def _within(node: Node, call: Node) -> bool:
    return any(part is node for part in call.walk())


def _constant(value: Node) -> bool:
    """`{0}`, `{1, 2, 3}`, `"0123456789abcdef"`, `std::vector<uint8_t>(16, 0)`."""
    if value.role == "text":
        return True
    listed = (
        value.role == "array"
        or value.role == "call"
        and value.type == "new"
        and ("vector" in value.name or "array" in value.name or "string" in value.name)
    )
    return listed and bool(value.args) and all(_number(part) for part in value.args)


def _number(node: Node) -> bool:
    return node.role in ("number", "text") or (
        node.role in ("cast", "array") and bool(node.args) and all(map(_number, node.args))
    )


def _clears(call: Node) -> bool:
    return call.name == "bzero" or len(call.args) > 1 and call.args[1].role == "number"


def _cleared(body: Body, given: Node, taker: Event) -> bool:
    """`memset(users[i].salt, 0, 16)`, and nothing else has it before the salt is taken."""
    if given.role != "member":
        return False
    cleared = False
    for event in body.calls:
        if event.order >= taker.order:
            break
        args = [_plain(arg) for arg in event.node.args]
        if any(alike(arg, given) for arg in args):
            cleared = event.node.name in ("memset", "bzero") and _clears(event.node)
    return cleared
