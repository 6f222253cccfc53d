"""Attack inputs, by the kind of place they are for, and the job that carries them to the guest.

`<T>` stands for the run's marker, `<BASE>` for the last name of the folder that a benign input led
to, `<HOST>` for the host that the snippet trusts, `<ORIGIN>` for that with its scheme. Several of a
kind matter: each defeats a defence that only looks good, such as a single replacement, a list of
bad characters or a prefix check.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence

from bluecode.defenses.checkers.runnable import Runnable
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.verdict import Finding

PROBES: Mapping[str, Sequence[str]] = {
    "shell": ("<T>;id", "<T>$(id)", "<T>';id;'", "<T>\nid", '<T>";id;"', "<T>|id", "<T>`id`",
    "<T>&&id"),
    "argv": ("<T>;id", "-<T>"),
    "sql": (
        "<T>' OR '1'='1", '<T>" OR "1"="1', "7 OR 7=7 -- <T>", "<T>; DROP TABLE x --",
        "<T>\\' OR 1=1 -- ",
        "<T>') OR ('1'='1",
    ),
    "path": (
        "../../../../../../etc/<T>", "/etc/<T>", "....//....//....//....//etc/<T>",
        "../<BASE>x/<T>",
        "a/../../../../../../etc/<T>", "..//..//..//..//..//etc/<T>",
        "%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2fetc%2f<T>",
    ),
    "page": (
        "<script><T></script>", "\"><img src=x onerror=<T>>", "<scr<script>ipt><T></script>",
        "' onmouseover='<T>", "<IMG SRC=x ONERROR=<T>>", "javascript:<T>",
    ),
    "redirect": (
        "https://<T>.example.net/", "//<T>.example.net/", "/\\<T>.example.net", "https://<T><HOST>/",
        "https://<HOST>.<T>.example.net/", "https://<HOST>@<T>.example.net/",
        "https://<T>.example.net/<HOST>", "<T>.example.net/", "<ORIGIN>.<T>.example.net/",
    ),
    "url": (
        "http://169.254.169.254/<T>", "http://127.0.0.1/<T>", "http://localhost/<T>", "http://[::1]/<T>",
        "http://2130706433/<T>", "http://<T>.internal.example/", "http://<HOST>@127.0.0.1/<T>",
        "file:///etc/<T>", "127.0.0.1/<T>#", "@127.0.0.1/<T>", "../<T>", "<ORIGIN>@127.0.0.1/<T>",
        "<ORIGIN>.<T>.internal.example/",
    ),
    "code": (
        "__import__('os').system('<T>')", "[].__class__.__<T>__",
        "'+__import__('os').system('<T>')+'",
        "().__class__.__base__.__subclasses__()or'<T>'",
    ),
    "template": ("{{7*'<T>'}}", "{{config.<T>}}", "${<T>}", "<%= <T> %>"),
    "ldap": ("<T>)(uid=*", "*)(<T>=*", "<T>*"),
    "xpath": ("<T>' or '1'='1", '<T>" or "1"="1', "<T>'] | //*['"),
    "xml": (
        '<?xml version="1.0"?><!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/<T>">]><r>&e;</r>',
        '<!DOCTYPE r [<!ENTITY % p SYSTEM "http://<T>.example.net/">%p;]><r/>',
    ),
    "log": ("<T>\nINFO forged", "<T>\r\nINFO forged", "<T>\rINFO forged"),
    "header": ("<T>\r\nX-Forged: 1", "<T>\nX-Forged: 1"),
    "raw_header": ("<T>\r\nX-Forged: 1", "<T>\nX-Forged: 1"),
    "pattern": ("(<T>+)+$", ".*<T>.*"),
    "nosql": ("<T>", "<T>' || '1'=='1"),
    "import": ("os.<T>",), "object": ("<T>", "<T>\n."),
    "mail": ("<T>\nBcc: <T>@example.net",),
}  # fmt: skip

KINDS: Mapping[int, tuple[str, ...]] = {
    20: ("redirect", "url", "path"),
    22: ("path",), 23: ("path",), 36: ("path",), 73: ("path",), 434: ("path",),
    74: ("shell", "sql", "template", "page", "header", "log"), 77: ("shell", "argv"),
    78: ("shell", "argv"),
    88: ("shell",), 79: ("page",), 80: ("page",), 83: ("page",), 89: ("sql",), 564: ("sql",),
    90: ("ldap",), 91: ("xpath",), 643: ("xpath",), 93: ("header", "raw_header", "mail"),
    94: ("code", "template", "import"), 95: ("code",), 96: ("code",),
    113: ("header", "raw_header"), 117: ("log",), 400: ("match", "pattern"), 470: ("import",),
    502: ("object",), 601: ("redirect",), 611: ("xml",), 776: ("xml",), 827: ("xml",),
    730: ("match", "pattern"), 1333: ("match", "pattern"), 918: ("url",), 943: ("nosql", "sql"),
    1236: (), 1336: ("template",),
}  # fmt: skip
"""Where the effect of a weakness shows. A weakness that is not here may be seen as `weak`."""

RETURNS: Mapping[int, str] = {
    79: "page", 80: "page", 113: "header", 93: "header", 117: "log", 601: "redirect",
    20: "redirect",
    918: "url",
}  # fmt: skip
"""Weaknesses that also show in what a function returns, and as which kind that is judged."""


def token_of(snippet: Snippet) -> str:
    """Six letters that the snippet does not hold; the same for the same snippet."""
    digest, text = hashlib.sha256(snippet.digest.encode()).digest(), snippet.code.lower()
    for start in range(0, 24):
        token = "".join("bdfgkmpqvwxz"[byte % 12] for byte in digest[start : start + 6])
        if token not in text:
            return token
    return "qzxkvw"


def kinds_of(claim: Finding) -> tuple[str, ...]:
    own = KINDS.get(claim.cwe or 0, ())
    return (*own, "return") if (claim.cwe or 0) in RETURNS else own


def job_of(
    snippet: Snippet, claims: Sequence[Finding], token: str, made: Runnable | None = None
) -> bytes:
    """What the guest is asked to do; the form is `sandbox/guests/python/harness.py`'s."""
    made = made or Runnable(snippet.code)
    asked = {RETURNS[cwe] for cwe in (claim.cwe or 0 for claim in claims) if cwe in RETURNS}
    probes = [
        {"kind": kind, "id": f"{kind}{at}", "value": value}
        for kind, values in PROBES.items()
        for at, value in enumerate(values)
    ]
    probes += [
        {"kind": "return", "id": f"{kind}{at}", "value": value}
        for kind in sorted(asked)
        for at, value in enumerate(PROBES[kind])
    ]
    job = {
        "code": made.code,
        "context": snippet.context,
        "token": token,
        "probes": probes,
        "claims": [_target(claim, made) for claim in claims if claim.span is not None],
    }
    return json.dumps(job).encode("utf-8", "replace")


def _target(claim: Finding, made: Runnable) -> dict[str, object]:
    first, last = made.span(*(claim.span or (1, 1)))
    return {"first": first, "last": last, "kinds": kinds_of(claim)}
