"""JavaScript: what makes a call wrong, as tests of one call or one value."""

import re

from bluecode.defenses.checkers.rules.secrets import (
    names_login,
)
from bluecode.defenses.checkers.rules.site import Site
from bluecode.defenses.checkers.rules.values import Level, Value
from bluecode.defenses.checkers.rules.words import mode_for_others


def _is(text: str) -> "re.Pattern[str]":
    return re.compile(text, re.I)


_WEAK_CIPHER = _is(r"^(?:des|rc[24]|bf|blowfish|cast|idea|seed)|-ecb$|^aes\d*$|arcfour")


def password_hash(site: Site) -> float:
    """A plain digest of something called a password."""
    data = site.arg(0).path.lower() + site.purpose
    made_by = site.base.path
    if "createHash()" not in made_by or "password" not in data and "passwd" not in data:
        return 0.0
    return 0.75


def cipher(site: Site) -> float:
    """A broken cipher or mode."""
    return 0.82 if _WEAK_CIPHER.search(site.text(0)) else 0.0


def without_iv(site: Site) -> float:
    """The call that makes key and vector from a text by MD5."""
    return 0.82


def fixed_iv(site: Site) -> float:
    """A vector that stands in the code, or is all zeros."""
    vector = site.arg(2)
    if _WEAK_CIPHER.search(site.text(0)):
        return 0.0
    fixed = vector.level is Level.NONE and (
        vector.known not in (None, "") or vector.path in ("Buffer.alloc()", "Buffer.from()")
        or bool(vector.items)
    )  # fmt: skip
    return 0.82 if fixed and vector.known != "null" else 0.0


def fixed_salt(site: Site) -> float:
    """A salt that stands in the code."""
    salt = site.arg(1)
    if salt.level is not Level.NONE:
        return 0.0
    if (salt.known or "").isdigit():  # bcrypt's rounds
        return 0.0
    if salt.known or salt.path in ("Buffer.from()", "Buffer.alloc()"):
        return 0.8
    if salt.path.endswith("randomBytes()") and salt.fields.get("size", Value()).known:
        return 0.0
    return 0.0


def few_rounds(site: Site) -> float:
    """Fewer than a thousand rounds."""
    rounds = site.arg(2).known or ""
    return 0.6 if rounds.isdigit() and int(rounds) < 1000 else 0.0


def short_salt(site: Site) -> float:
    """Fewer than eight random bytes for a secret."""
    size = site.arg(0).known or ""
    if not size.isdigit():
        return 0.0
    return 0.65 if int(size) < 8 and re.search(r"salt|key|secret|token|iv\b", site.purpose) else 0.0


def short_key(site: Site) -> float:
    """A key or curve that is too small."""
    kind = site.text(0)
    size = site.option("modulusLength")
    bits = (size.known if size is not None else "") or ""
    if kind in ("rsa", "dsa", "rsa-pss") and bits.isdigit() and int(bits) < 2048:
        return 0.85
    curve = site.option("namedCurve")
    weak = curve is not None and re.match(
        r"(?i)sec[pt]1(?:12|28|60|92)|prime192", curve.known or ""
    )
    return 0.8 if weak else 0.0


def few_bits(site: Site) -> float:
    """Libraries that name the size `b`, `bits`, or give it first."""
    size = site.option("b", "bits")
    bits = ((size or site.arg(0)).known or "") if size or not site.arg(0).fields else ""
    return 0.85 if bits.isdigit() and 256 <= int(bits) < 2048 else 0.0


def token_unverified(site: Site) -> float:
    """A verification that accepts unsigned tokens."""
    algorithms = site.option("algorithms")
    if algorithms is not None and any((i.known or "").lower() == "none" for i in algorithms.items):
        return 0.9
    ignored = site.option("ignoreExpiration")
    return 0.6 if ignored is not None and ignored.known == "true" else 0.0


def token_decoded(site: Site) -> float:
    """A token that is read without its signature."""
    return 0.7


def sign_none(site: Site) -> float:
    """A token that is made without a signature."""
    algorithm = site.option("algorithm")
    return 0.85 if algorithm is not None and (algorithm.known or "").lower() == "none" else 0.0


def open_mode(site: Site) -> float:
    """A mode with rights for others to write, or for anyone but the owner on a secret."""
    mode = site.arg(1).known or ""
    option = site.option("mode")
    if option is not None:
        mode = option.known or ""
    return mode_for_others(mode, site.purpose)


def cookie(site: Site) -> float:
    """A cookie without both flags."""
    name = site.text(0)
    if site.option("httpOnly") is not None and site.option("secure") is not None:
        return 0.0
    if len(site.args) > 2 and not site.arg(2).fields:
        return 0.0
    return 0.65 if names_login(name) else 0.45


def cors_any(site: Site) -> float:
    """Answers for every site."""
    origin = site.option("origin")
    if origin is None:
        return 0.0
    credentials = site.option("credentials")
    with_login = credentials is not None and credentials.known == "true"
    wide = origin.known in ("*", "true")
    return (0.75 if with_login else 0.45) if wide else 0.0


def message_to_any(site: Site) -> float:
    """A message for whatever window is there."""
    return 0.62 if site.arg(1).known == "*" else 0.0


def message_from_any(site: Site) -> float:
    """A listener that uses data and never looks at its origin."""
    if site.text(0) != "message" or len(site.node.args) < 2:
        return 0.0
    handler = site.node.args[1]
    if handler.role != "function":
        return 0.0
    for node in handler.walk():
        if node.role == "member" and node.name in ("origin", "source", "isTrusted"):
            return 0.0
        if node.role == "pair" and node.name in ("origin", "source"):
            return 0.0
    uses = any(node.role in ("member", "pair") and node.name == "data" for node in handler.walk())
    return 0.65 if uses else 0.0


def yaml_full(site: Site) -> float:
    """A schema that builds more than plain data."""
    schema = site.option("schema")
    wide = schema is not None and re.search(r"DEFAULT_SCHEMA|FULL_SCHEMA|UNSAFE", schema.path)
    return 0.65 if wide else 0.0


def xml_entities(site: Site) -> float:
    """An option that loads external entities."""
    for name in ("noent", "replaceEntities", "dtdload", "resolveExternalEntities"):
        option = site.option(name)
        if option is not None and option.known == "true":
            return 0.82
    return 0.0


def buffer_old(site: Site) -> float:
    """A buffer that is not cleared."""
    return 0.5 if site.arg(0).known is None or site.node.name.startswith("allocUnsafe") else 0.0


def new_buffer(site: Site) -> float:
    """The old constructor with something that may be a number."""
    return 0.52 if site.arg(0).known is None and not site.arg(0).items else 0.0


def no_assert(site: Site) -> float:
    """A read or write whose bounds are not checked."""
    return 0.6 if site.args and site.args[-1].known == "true" and len(site.args) >= 2 else 0.0


def weak_host(site: Site) -> float:
    """A part of a host or origin is no proof of it."""
    looked_at = site.base.path.rsplit(".", 1)[-1].lower()
    if looked_at in ("hostname", "host", "origin", "referer", "referrer"):
        part = site.arg(0).known
        if part is not None and not re.search(r"\w", part):  # a mark, such as that of a port
            return 0.0
        if site.name in ("endsWith",) and (site.arg(0).text or "").startswith("."):
            return 0.0
        return 0.62 if site.name in ("includes", "indexOf", "startsWith", "endsWith") else 0.0
    return 0.0


def shell_option(site: Site) -> bool:
    """Is a shell asked for?"""
    option = site.option("shell")
    return option is not None and option.known not in (None, "false")


def shell_program(site: Site) -> bool:
    """Is the program a shell that is told to run a text?"""
    program = site.text(0).rpartition("/")[2]
    items = site.arg(1).items
    return program in ("sh", "bash", "zsh", "cmd", "cmd.exe", "powershell", "powershell.exe") and (
        any((item.known or "").lower() in ("-c", "/c", "-lc", "-command") for item in items)
    )


def text_first(site: Site) -> bool:
    """Is the first argument no function?"""
    return site.arg(0).path != "function"


def object_query(site: Site) -> bool:
    """Is the first argument handed on as it is?"""
    return not site.arg(0).marks & {"built"}


def off(value: Value) -> bool:
    """A switch that is off."""
    return value.known in ("false", "0")


def _on(value: Value) -> bool:
    return value.known in ("true", "1", "*")


def old_tls(value: Value) -> bool:
    """A version of SSL or TLS before 1.2."""
    return bool(re.match(r"(?i)^(?:ssl|tls ?v?1(?:\.[01])?(?:_method)?$|tlsv1_1?_method)",
                         (value.known or "").strip()))  # fmt: skip


PLAIN_REQUEST = (
    r"^(?:req|request|ctx|c\.req)\.(?:params|headers|originalUrl|url|path|hostname|ip|"
    r"pathParameters)\b"
)
"""Parts of a request that are texts, whatever a client sends: routers and servers see to it."""
REQUEST = (
    r"^(?:req|request|ctx\.request|ctx|event|c\.req)\.(?:body|query|params|headers|cookies|"
    r"param|files?|originalUrl|url|path|hostname|ip|rawBody|queryStringParameters|"
    r"pathParameters|signedCookies|request\.(?:body|query|url|header))\b"
)


def uploaded_name(site: Site) -> float:
    """A file is kept under the name that its sender gave it, and nobody looks what it is."""
    names = (part.name for arg in site.node.args[1:] for part in arg.walk())
    if "originalname" not in names or not re.search(r"filename|storage", site.purpose):
        return 0.0
    return 0.0 if site.mentions(r"fileFilter|extname|mimetype") else 0.58


def sends_stack(site: Site) -> float:
    """The trace of an error goes to whoever sent the request."""
    for arg in site.node.args:
        for part in arg.walk():
            if part.role == "member" and part.name == "stack" and not site.mentions(_DEVELOPMENT):
                return 0.55
    return 0.0


_UNSEEN = re.compile(
    r"(?i)^(?:(?:hashed|plain)?_?password(?:_?hash)?|passwd|ssn|social_?security(?:_?number)?"
    r"|credit_?card(?:_?number)?|card_?number|cvv|cvc|security_?answer)$"
)
_OF_PERSONS = frozenset({"id", "_id", "name", "email", "username", "phone", "firstName",
                         "lastName", "address", "userId", "user"})  # fmt: skip


def sends_secret_field(site: Site) -> float:
    """A person's record goes out with a field that nobody must see, read from that record."""
    for arg in site.node.args:
        for part in arg.walk():
            if part.role != "object":
                continue
            pairs = [pair for pair in part.args if pair.role == "pair"]
            if not _OF_PERSONS & {pair.name for pair in pairs}:
                continue
            for pair in pairs:
                value = pair.args[0] if pair.args else None
                if _UNSEEN.match(pair.name) and value is not None and value.role == "member":
                    if value.name == pair.name:
                        return 0.55
    return 0.0


ROUTES = " ".join(
    f"{owner}.{method}"
    for owner in ("app", "router", "fastify", "server")
    for method in ("get", "post", "put", "patch", "delete")
)
_ADMINISTERS = re.compile(r"(?:^|/)(?:admin|administrator|superuser|internal)(?:/|$)")
_ASKS = (
    r"(?i)auth|login|logged|session|permission|isadmin|is_admin|require_?admin|adminonly|role\b|"
    r"jwt|token|req\.user|acl\b|guard|protect|passport|forbidden|\b40[13]\b"
)


def open_to_all(site: Site) -> float:
    """`app.delete("/admin/users/:id", handler)`, and nobody is asked who they are anywhere."""
    handler = site.node.args[-1] if len(site.node.args) == 2 else None
    if handler is None or handler.role != "function" or not _ADMINISTERS.search(site.text(0)):
        return 0.0
    if site.mentions(_ASKS):
        return 0.0
    return 0.52 if site.node.name == "get" else 0.6


_DEVELOPMENT = r"NODE_ENV|isDev|is_dev|development"


def leads_away(site: Site) -> bool:
    """Is the beginning of the address open?"""
    for value in site.args:
        if value.level >= Level.INPUT:
            start = value.shape
            return not re.match(r"https?://[^/\0]+/|/[^/\\\0]|[?#]|\.", start)
    return False


def chooses_host(site: Site) -> bool:
    """Is the host of the address open?"""
    value = site.arg(0)
    if value.fields:
        value = value.fields.get("url") or value.fields.get("uri") or value.fields.get(
            "host"
        ) or value.fields.get("hostname") or Value()  # fmt: skip
    return not re.match(r"https?://[^/\0]+/|/[^/\0]", value.shape)
