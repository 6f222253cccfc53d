"""Words that say that a value must be hard to guess, or is a person's password."""

import re

_SECRET = re.compile(
    r"token|secret|passw|passwd|pwd|session|sess_?id|(?:^|_|\b)otp|nonce|salt|csrf|xsrf|api_?key|"
    r"priv(?:ate)?_?key|auth|credential|verif(?:y|ication)_?code|reset_?(?:code|link|key)|"
    r"(?:encryption|secret|aes|hmac|signing|access|crypto)_?key|invite|coupon|voucher|"
    r"one_?time|captcha|two_?factor|2fa|(?:^|\s|_)iv(?:$|\s|_)|cookie|pin_?code|security_?code"
)
_KEPT = re.compile(r"passw|passwd|pwd|credential|secret|signature|sign\b|token|auth|hmac|cert|user")


def is_secret(words: str) -> bool:
    """Do the names around say that the value is a secret? Lower-case words."""
    return _SECRET.search(words) is not None


_UNIQUE = re.compile(
    r"uuid|guid|(?:gen\w*|make|create|new|next|unique|random|rand|client|device|user|order)_?id\b|"
    r"rand(?:om)?_?(?:str\w*|name|chars|text|word|key|code|hex)|temp_?name|tmp_?name|file_?name|"
    r"pass_?code|serial|licen[cs]e"
)


def is_unique(words: str) -> bool:
    """Do the names around say that nobody else may get the same value? Lower-case words."""
    return _UNIQUE.search(words) is not None


def keeps_secret(words: str) -> bool:
    """Do the names around say that a hash protects something?"""
    return _KEPT.search(words) is not None


_LOGIN = re.compile(r"sess|sid|token|auth|jwt|remember|login|user")


def names_login(name: str) -> bool:
    """Does a cookie's name say that it stands for a login? Lower-case words."""
    return _LOGIN.search(name) is not None


_BOOKKEEPING = re.compile(
    r"etag|cache|checksum|gravatar|fingerprint|bucket|shard|dedup|(?:file|content|object)_?hash|"
    r"integrity|accept_?key|websocket"
)


def keeps_books(words: str) -> bool:
    """Do the names around say that a hash only tells contents apart? Lower-case words."""
    return _BOOKKEEPING.search(words) is not None and not is_password(words)


def is_password(words: str) -> bool:
    """Do the names around speak of a person's password?"""
    return re.search(r"passw|passwd|pwd|passphrase|pin_?code", words) is not None
