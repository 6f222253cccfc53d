"""Cryptography misused: weak hashes and ciphers, fixed salts and keys, predictable secrets,
verification switched off.
"""

import ast
from collections.abc import Callable, Mapping

from bluecode.defenses.checkers.python_names import (
    hash_weight,
    names_password,
    wants_randomness,
    words,
)
from bluecode.defenses.checkers.python_state import Call, Run, State
from bluecode.defenses.checkers.python_values import (
    Level,
    Value,
    all_tags,
    is_constant,
)

_BROKEN = frozenset("md2 md4 md5 sha sha1".split())
_WEAK_CIPHERS = frozenset(
    "DES DES3 ARC2 ARC4 RC2 RC4 Blowfish CAST XOR TripleDES CAST5 SEED IDEA".split()
)
_FEWEST_ROUNDS = 10_000
_RSA_BITS = 2048
_CURVE_BITS = 224
_MAC = frozenset("signature sig hmac mac digest csrf".split())


def _context(run: Run, call: Call) -> tuple[str, ...]:
    """Names around a hash that say what it is for."""
    mentioned = [
        node.id if isinstance(node, ast.Name) else node.attr
        for argument in call.node.args
        for node in ast.walk(argument)
        if isinstance(node, (ast.Name, ast.Attribute))
    ]
    return (run.frame.name, *run.frame.targets, *mentioned)


def _hash(run: Run, call: Call) -> None:
    algorithm = call.last.lower()
    if call.name == "hashlib.new":
        first = call.argument(0, "name")
        algorithm = (first.literal or "" if first is not None else "").lower().replace("-", "")
    declared = call.keyword("usedforsecurity")
    if declared is not None and declared.const is False:
        return
    names = _context(run, call)
    of_password = any(names_password(name) for name in names[1:]) or _stores_password(names[0])
    if of_password and not _keyed(names):
        run.claim("weak_password_hash", call.node, 0.8 if algorithm in _BROKEN else 0.72)
    elif algorithm in _BROKEN:
        run.claim("weak_hash", call.node, hash_weight(names))


def _stores_password(function: str) -> bool:
    """`set_password`, `hash_pw`: what it hashes is a password, whatever it is called."""
    found = words(function)
    kept = found & {"password", "passwd", "passphrase", "pw", "pwd"}
    return bool(kept and found & {"hash", "set", "make", "store", "encode", "encrypt", "verify"})


def _keyed(names: tuple[str, ...]) -> bool:
    return any(words(name) & {"hibp", "pwned", "breach", "breached"} for name in names)


def _hash_object(run: Run, call: Call) -> None:
    """`Crypto.Hash.MD5.new()`, `cryptography…hashes.MD5()`."""
    run.claim("weak_hash", call.node, max(0.6, hash_weight(_context(run, call))))


def _hmac(run: Run, call: Call) -> None:
    algorithm = call.argument(2, "digestmod")
    if algorithm is None:
        return
    name = (algorithm.literal or algorithm.name).lower()
    if name.rpartition(".")[2] == "md5":
        run.claim("weak_hash", call.node, 0.52)


def _stretched(run: Run, call: Call) -> None:
    """PBKDF2: enough rounds, and a salt of its own."""
    rounds = call.argument(3, "iterations")
    if rounds is not None and isinstance(rounds.const, int) and rounds.const < _FEWEST_ROUNDS:
        run.claim("weak_password_hash", call.node, 0.65)
    salt = call.argument(2, "salt")
    _salt(run, call, salt)


def _old_hash(run: Run, call: Call) -> None:
    """Schemes for passwords that are guessed in no time by now."""
    run.claim("weak_password_hash", call.node, 0.75)


def _unix_hash(run: Run, call: Call) -> None:
    """`crypt` is as strong as its salt says: two letters mean DES."""
    salt = call.argument(0 if call.last == "mksalt" else 1, "salt") or call.keyword("method")
    if salt is None:
        return
    weak = salt.name.endswith(("METHOD_CRYPT", "METHOD_MD5"))
    if weak or (salt.literal is not None and not salt.literal.startswith(("$2", "$5", "$6", "$y"))):
        run.claim("weak_password_hash", call.node, 0.75)


def _named_method(run: Run, call: Call) -> None:
    """`generate_password_hash(password, "md5")`."""
    method = call.argument(1, "method")
    name = "" if method is None else method.literal or ""
    if name.partition(":")[0] in ("md5", "sha1", "sha256", "sha512", "plain"):
        run.claim("weak_password_hash", call.node, 0.72)


def _few_rounds(run: Run, call: Call) -> None:
    rounds = call.argument(0, "rounds")
    if rounds is not None and isinstance(rounds.const, int) and rounds.const < 10:
        run.claim("weak_password_hash", call.node, 0.55)


def _scrypt(run: Run, call: Call) -> None:
    _salt(run, call, call.keyword("salt"))


def _salt(run: Run, call: Call, salt: Value | None) -> None:
    if salt is None:
        return
    if _fixed(salt):
        run.claim("predictable_salt", call.node, 0.8)
    elif salt.name.startswith("hashlib.") and salt.name.endswith("digest()"):
        run.claim("predictable_salt", call.node, 0.7)
    elif any(tag.kind == "random" for tag in all_tags(salt)):
        run.claim("weak_random", call.node, 0.7)


def _fixed(value: Value) -> bool:
    return isinstance(value.const, (str, bytes)) and len(value.const) > 0


def _cipher(run: Run, call: Call) -> None:
    """`AES.new(key, mode, iv)` and the weak ciphers beside it."""
    kind = call.name.split(".")[-2] if call.name.count(".") else ""
    if kind in _WEAK_CIPHERS:
        run.claim("weak_cipher", call.node, 0.85)
        return
    mode = call.argument(1, "mode")
    if mode is not None and (mode.name.endswith("MODE_ECB") or mode.const == 1):
        run.claim("weak_cipher", call.node, 0.85)
    key = call.argument(0, "key")
    if key is not None and _fixed(key):
        run.claim("fixed_key", call.node, 0.8)
    for vector in (call.argument(2), call.keyword("iv"), call.keyword("nonce")):
        if vector is not None and _fixed(vector):
            run.claim("fixed_iv", call.node, 0.8)


def _algorithm(run: Run, call: Call) -> None:
    """`cryptography.hazmat`: `algorithms.ARC4(key)`, `modes.ECB()`, `modes.CBC(iv)`."""
    if call.last in _WEAK_CIPHERS or call.last == "ECB":
        run.claim("weak_cipher", call.node, 0.85)
        return
    first = call.args[0] if call.args else None
    if first is not None and _fixed(first):
        rule = "fixed_iv" if ".modes." in call.name else "fixed_key"
        run.claim(rule, call.node, 0.8)


def _sealed(run: Run, call: Call) -> None:
    """`AESGCM(key).encrypt(nonce, …)` with a nonce that never changes."""
    if call.receiver.name.endswith(("AESGCM()", "ChaCha20Poly1305()", "AESCCM()")):
        nonce = call.argument(0, "nonce")
        if nonce is not None and _fixed(nonce):
            run.claim("fixed_iv", call.node, 0.8)


def _keyed_object(run: Run, call: Call) -> None:
    """`Fernet(b"...")`, `AESGCM(b"...")`."""
    key = call.argument(0, "key")
    if key is not None and _fixed(key):
        run.claim("fixed_key", call.node, 0.8)


def _key_made(run: Run, call: Call) -> None:
    bits = call.argument(0, "bits") or call.keyword("key_size")
    if call.name.startswith("cryptography") or call.last == "generate_private_key":
        index = 0 if ".dsa" in call.name else 1
        bits = call.keyword("key_size") or call.argument(index)
    if bits is not None and isinstance(bits.const, int) and 256 < bits.const < _RSA_BITS:
        run.claim("short_key", call.node, 0.8 if bits.const <= 1024 else 0.6)


def _curve(run: Run, call: Call) -> None:
    digits = "".join(c for c in call.last if c.isdigit())
    if digits and int(digits) < _CURVE_BITS:
        run.claim("short_key", call.node, 0.7)


def named(run: Run, node: ast.AST, name: str, value: Value) -> None:
    """A value with a random part given to something that must be secret."""
    drawn = [tag for tag in all_tags(value) if tag.kind == "random"]
    if drawn and wants_randomness(name):
        run.claim("weak_random", _line(node, drawn[0].line), 0.8)


def _line(node: ast.AST, line: int) -> ast.AST:
    """The place of the draw, which is what has to change."""
    if not line:
        return node
    return ast.Pass(lineno=line, end_lineno=line, col_offset=0, end_col_offset=0)


def compared(
    run: Run, state: State, node: ast.Compare, operator: ast.cmpop, left: Value, right: Value
) -> None:
    """A signature or token compared with `==`."""
    if not isinstance(operator, (ast.Eq, ast.NotEq)) or is_constant(left) or is_constant(right):
        return
    names = [_spoken(node.left), _spoken(node.comparators[0])]
    both = words(names[0]) | words(names[1])
    if "number" in left.marks and "number" in right.marks and "digest" not in "".join(names):
        return
    if any(value.name.startswith(("signal.", "self.signal")) for value in (left, right)):
        return
    if both & {"version", "method", "type", "algorithm", "name", "header", "length", "len"}:
        return
    digests = any("digest" in value.name and "hmac" in value.name for value in (left, right))
    asked = any(t.level >= Level.PARAMETER for t in (*left.tags, *right.tags) if t.kind == "input")
    client = any(t.level is Level.REQUEST for t in (*left.tags, *right.tags))
    if digests or (both & _MAC - {"digest"} and asked):
        run.claim("timing_comparison", node, 0.7)
    elif client and (both & {"token", "secret", "apikey"} or "key" in both and "api" in both):
        run.claim("timing_comparison", node, 0.55)


def _spoken(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Call):
        return _spoken(node.func)
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return str(node.slice.value)
    return node.id if isinstance(node, ast.Name) else ""


def _token_read(run: Run, call: Call) -> None:
    """`jwt.decode` with verification off or no algorithm fixed."""
    options = call.argument(3, "options")
    off = options is not None and any(
        (held := options.field(name)) is not None and held.const is False
        for name in ("verify_signature", "verify")
    )
    verify = call.keyword("verify")
    algorithms = call.argument(2, "algorithms")
    allowed = [item.literal for item in (algorithms.items or ())] if algorithms is not None else []
    if off or (verify is not None and verify.const is False):
        run.claim("unverified_signature", call.node, 0.88)
    elif "none" in [(name or "").lower() for name in allowed]:
        run.claim("unverified_signature", call.node, 0.85)
    elif len(call.args) == 1 and not call.keywords and call.name.startswith("jwt."):
        run.claim("unverified_signature", call.node, 0.7)
    key = call.argument(1, "key")
    if key is not None and _fixed(key):
        run.claim("hardcoded_secret", call.node, 0.7)


def _token_made(run: Run, call: Call) -> None:
    algorithm = call.argument(2, "algorithm")
    if algorithm is not None and (algorithm.literal or "x").lower() == "none":
        run.claim("unverified_signature", call.node, 0.85)
    key = call.argument(1, "key")
    if key is not None and _fixed(key):
        run.claim("hardcoded_secret", call.node, 0.7)


def _unverified_read(run: Run, call: Call) -> None:
    run.claim("unverified_signature", call.node, 0.6)


Look = Callable[[Run, Call], None]
_HAZMAT = "cryptography.hazmat.primitives"

CALLS: Mapping[str, Look] = {
    **dict.fromkeys(
        "hashlib.md5 hashlib.sha1 hashlib.new hashlib.sha224 hashlib.sha256 hashlib.sha384 "
        "hashlib.sha512 md5.new md5.md5 sha.new sha.sha hashlib.blake2b hashlib.sha3_256".split(),
        _hash,
    ),
    **dict.fromkeys(
        [
            *(f"Crypto.Hash.{name}.new" for name in ("MD2", "MD4", "MD5", "SHA", "SHA1")),
            f"{_HAZMAT}.hashes.MD5",
            f"{_HAZMAT}.hashes.SHA1",
        ],
        _hash_object,
    ),
    "hmac.new": _hmac,
    "hashlib.pbkdf2_hmac": _stretched,
    "hashlib.scrypt": _scrypt,
    **dict.fromkeys([f"Crypto.Cipher.{name}.new" for name in (*_WEAK_CIPHERS, "AES")], _cipher),
    **dict.fromkeys(
        [
            f"{_HAZMAT}.ciphers.{module}.{name}"
            for module, names in (
                ("algorithms", (*_WEAK_CIPHERS, "AES")),
                ("modes", ("ECB", "CBC", "CTR", "GCM", "OFB", "CFB")),
            )
            for name in names
        ],
        _algorithm,
    ),
    **{
        f"cryptography.hazmat.decrepit.ciphers.algorithms.{name}": _algorithm
        for name in _WEAK_CIPHERS
    },
    **dict.fromkeys("crypt.crypt crypt.mksalt".split(), _unix_hash),
    **{
        f"passlib.hash.{name}.{verb}": _old_hash
        for name in (
            "md5_crypt des_crypt bsdi_crypt sha1_crypt apr_md5_crypt hex_md5 hex_sha1 hex_sha256 "
            "ldap_md5 ldap_sha1 ldap_plaintext plaintext lmhash nthash mysql323 mysql41 "
            "django_salted_md5 django_salted_sha1 unix_disabled"
        ).split()
        for verb in ("hash", "encrypt")
    },
    "werkzeug.security.generate_password_hash": _named_method,
    "bcrypt.gensalt": _few_rounds,
    "cryptography.fernet.Fernet": _keyed_object,
    f"{_HAZMAT}.ciphers.aead.AESGCM": _keyed_object,
    **dict.fromkeys(
        [
            "Crypto.PublicKey.RSA.generate",
            "Crypto.PublicKey.DSA.generate",
            f"{_HAZMAT}.asymmetric.rsa.generate_private_key",
            f"{_HAZMAT}.asymmetric.dsa.generate_private_key",
            "rsa.newkeys",
            "paramiko.RSAKey.generate",
        ],
        _key_made,
    ),
    **dict.fromkeys(
        [f"{_HAZMAT}.asymmetric.ec.{name}" for name in ("SECP192R1", "SECT163K1", "SECT163R2")],
        _curve,
    ),
    **dict.fromkeys("jwt.decode jose.jwt.decode".split(), _token_read),
    **dict.fromkeys("jwt.encode jose.jwt.encode".split(), _token_made),
}
METHODS: Mapping[str, Look] = {
    "encrypt": _sealed,
    **dict.fromkeys("get_unverified_claims unverified_claims".split(), _unverified_read),
}
