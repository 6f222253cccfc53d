"""What names of variables, parameters and functions say about their meaning.

Names are hints and only move scores; no finding rests on a name alone, except that a secret must be
called one to be known as one.
"""

import ast
import re
from functools import lru_cache

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")

_PASSWORD = frozenset("password passwd pwd passphrase passcode pass pw passwords".split())
_SECRET = _PASSWORD | frozenset("secret secrets token tokens credential credentials".split())
_SECRET_PHRASES = (
    "api key",
    "apikey",
    "access key",
    "secret key",
    "private key",
    "auth key",
    "signing key",
    "encryption key",
    "client secret",
)
_RANDOM_SECRET = _SECRET | frozenset(
    "session sessionid sid otp totp pin salt nonce csrf csrftoken key apikey captcha cookie "
    "invite voucher auth authcode verification iv jwt keys nonces salts pincode csprng".split()
)
_GUESSABLE = frozenset(
    "number guess card dice word player sort index idx dict data lookup foreign primary node row "
    "color".split()
)
"""Words of games and tables: a random value of such a name hides nothing."""
_NOT_SECRET = frozenset(
    "hash hashed hasher length len count url uri path file name field column header policy type "
    "label prompt error message min max size index id ids regex pattern input expires expiry ttl "
    "lifetime placeholder env var param help text title tokenizer limit usage validator form "
    "strength counter timeout salt enabled required valid invalid public pub prefix suffix "
    "allow allowed separator kind class format location endpoint algorithm algo encrypted "
    "ciphertext".split()
)
_CHECKER = frozenset(
    "valid validate validated validator safe allowed allow permitted whitelisted whitelist "
    "allowlist allowlisted trusted legal sanitize sanitized sanitise verify verified check "
    "ensure assert authorize authorized clean acceptable restrict inside within".split()
)
_CLEANER = frozenset(
    "sanitize sanitise sanitized escape escaped quote quoted clean cleaned secure safe "
    "encode slugify slug purify normalize strip whitelist filter".split()
)
_PLACE = frozenset(
    "dir directory root base folder prefix dirname basedir home cwd workdir rootdir "
    "outdir output out dest destination target cache parent tmpdir datadir location workspace "
    "save model checkpoint repo project".split()
)
_CONFIG = frozenset("settings config conf cfg constants defaults env".split())
_CHECKSUM = frozenset(
    "checksum etag cache cached digest fingerprint dedupe dedup duplicate gravatar avatar content "
    "file files chunk chunks md5sum sha1sum bucket shard ring partition color colour hashkey "
    "identifier revision version change changed block blob tree git integrity download".split()
)
_SENSITIVE_HASH = _SECRET | frozenset(
    "signature sign signed auth login certificate cert csrf license licence hmac".split()
)


@lru_cache(maxsize=4096)
def words(name: str) -> frozenset[str]:
    """The lower-case words of a name in any usual spelling."""
    return frozenset(word.lower() for word in _WORD.findall(name))


def ordered(name: str) -> str:
    return " ".join(word.lower() for word in _WORD.findall(name))


@lru_cache(maxsize=2048)
def names_password(name: str) -> bool:
    found = words(name)
    return bool(found & _PASSWORD) and not found & _NOT_SECRET


@lru_cache(maxsize=2048)
def names_secret(name: str) -> bool:
    """Whether a variable of this name holds something that must not be known."""
    found = words(name)
    if found & _NOT_SECRET:
        return False
    phrase = ordered(name)
    return bool(found & _SECRET) or any(key in phrase for key in _SECRET_PHRASES)


@lru_cache(maxsize=2048)
def wants_randomness(name: str) -> bool:
    """Whether a random value of this name must be unpredictable."""
    found = words(name)
    if found & _GUESSABLE:
        return False
    phrase = ordered(name)
    return bool(found & _RANDOM_SECRET) or "code verif" in phrase or "reset code" in phrase


@lru_cache(maxsize=2048)
def names_check(name: str) -> bool:
    """Whether a function of this name says yes or no, or raises, about its argument."""
    return bool(words(name) & _CHECKER)


@lru_cache(maxsize=2048)
def names_cleaner(name: str) -> bool:
    return bool(words(name) & _CLEANER)


@lru_cache(maxsize=2048)
def names_place(name: str) -> bool:
    """Whether it names a folder that the caller chooses, not a file in one."""
    found = words(name)
    return bool(found & _PLACE) and "name" not in found


@lru_cache(maxsize=2048)
def names_config(name: str) -> bool:
    return bool(words(name) & _CONFIG) or (name.isupper() and len(name) > 1)


_STRANGERS = frozenset("user untrusted tainted client external attacker remote visitor".split())
_THEIRS = frozenset(
    "input supplied provided controlled given query payload url uri path filename command cmd "
    "expression template code html text content data".split()
)


@lru_cache(maxsize=2048)
def names_untrusted(name: str) -> bool:
    """Whether a parameter says by its name that a stranger wrote it: `user_input`."""
    found = words(name)
    said = bool(found & {"untrusted", "tainted"}) or bool(found & _STRANGERS and found & _THEIRS)
    return said and not found & {"id", "ids", "agent", "model", "class", "name", "email"}


_WHO = r"(?:end[- ]?)?(?:users?|clients?|customers?|visitors?|members?|attackers?|strangers?)"
_DOES = (
    r"(?:supplie[sd]|supply|provide[sd]?|submit(?:s|ted)?|enter(?:s|ed)?|types?|typed|sends?|sent|"
    r"gives?|given|links?|linked|uploads?|uploaded|posts?|posted|pastes?|pasted|controls?|"
    r"controlled|wrote|writes|written)"
)
_TOLD = re.compile(
    rf"(?i)\b{_WHO}(?:[- ]|\s+has\s+){_DOES}\b|\b{_DOES}\s+by\s+(?:an?|the)?\s*{_WHO}\b|untrusted"
)


def tells_of_strangers(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a function's own description says that users give it what it works on."""
    first = function.body[0] if function.body else None
    if not (isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)):
        return False
    text = first.value.value
    return isinstance(text, str) and _TOLD.search(text) is not None


def hash_weight(names: tuple[str, ...]) -> float:
    """How likely a broken hash matters, by the names around it."""
    found = frozenset().union(*(words(name) for name in names)) if names else frozenset()
    if found & {"ws", "websocket", "git", "etag", "gravatar", "guid", "cache", "cached"}:
        return 0.3
    if found & _SENSITIVE_HASH:
        return 0.8
    return 0.3 if found & _CHECKSUM else 0.55
