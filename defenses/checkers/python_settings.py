"""Switches set the wrong way: certificates unchecked, debuggers open, cookies bare."""

import ast
from collections.abc import Callable, Mapping

from bluecode.defenses.checkers.python_names import names_password, words
from bluecode.defenses.checkers.python_state import Call, Function, Run
from bluecode.defenses.checkers.python_values import Value, is_constant

_OLD = ("PROTOCOL_SSLv2", "PROTOCOL_SSLv3", "PROTOCOL_TLSv1", "PROTOCOL_TLSv1_1", "TLSv1", "SSLv3")
_UNVERIFIED = 0.82
_OFF_SETTINGS = {
    "SESSION_COOKIE_SECURE": "insecure_cookie",
    "SESSION_COOKIE_HTTPONLY": "insecure_cookie",
    "CSRF_COOKIE_SECURE": "insecure_cookie",
    "WTF_CSRF_ENABLED": "csrf_disabled",
    "WTF_CSRF_CHECK_DEFAULT": "csrf_disabled",
}


def _is_false(value: Value | None) -> bool:
    return value is not None and is_constant(value) and value.const in (False, 0)


def _client(run: Run, call: Call) -> None:
    """`requests.get(url, verify=False)` and clients made that way."""
    if _is_false(call.keyword("verify")) or _is_false(call.keyword("verify_ssl")):
        run.claim("unverified_certificate", call.node, _UNVERIFIED)


def _any_client(run: Run, call: Call) -> None:
    known = words(call.receiver.name) & frozenset("session http client requests httpx".split())
    if known or call.receiver.name.startswith(("requests", "httpx", "self.")):
        _client(run, call)
    if _is_false(call.keyword("ssl")) and words(call.receiver.name) & {"session", "aiohttp"}:
        run.claim("unverified_certificate", call.node, _UNVERIFIED)


def _connector(run: Run, call: Call) -> None:
    for name in ("ssl", "verify_ssl", "ssl_context"):
        if _is_false(call.keyword(name)):
            run.claim("unverified_certificate", call.node, _UNVERIFIED)


def _unverified(run: Run, call: Call) -> None:
    run.claim("unverified_certificate", call.node, 0.85)


def _pool(run: Run, call: Call) -> None:
    required = call.keyword("cert_reqs")
    if required is None:
        return
    if required.name.endswith("CERT_NONE") or required.literal == "CERT_NONE":
        run.claim("unverified_certificate", call.node, _UNVERIFIED)


def _wrapped(run: Run, call: Call) -> None:
    """`ssl.wrap_socket`, which verifies nothing unless told to."""
    required = call.keyword("cert_reqs")
    if required is None or required.name.endswith("CERT_NONE"):
        run.claim("unverified_certificate", call.node, 0.65)
    _context(run, call)


def _context(run: Run, call: Call) -> None:
    for value in (call.argument(0), call.keyword("ssl_version"), call.keyword("protocol")):
        if value is not None and value.name.rpartition(".")[2] in _OLD:
            run.claim("old_protocol", call.node, 0.75)


def _host_keys(run: Run, call: Call) -> None:
    policy = call.argument(0, "policy")
    name = "" if policy is None else policy.name.removesuffix("()").rpartition(".")[2]
    if name in ("AutoAddPolicy", "WarningPolicy"):
        run.claim("unverified_certificate", call.node, 0.72)


def attribute_set(run: Run, node: ast.Attribute, base: Value, value: Value) -> None:
    """`context.verify_mode = ssl.CERT_NONE`, `session.verify = False`, `app.debug = True`."""
    name = value.name.rpartition(".")[2]
    if node.attr == "verify_mode" and name == "CERT_NONE":
        run.claim("unverified_certificate", node, _UNVERIFIED)
    elif node.attr == "check_hostname" and _is_false(value):
        run.claim("unverified_certificate", node, 0.75)
    elif node.attr == "verify" and _is_false(value) and "session" in words(base.name):
        run.claim("unverified_certificate", node, 0.78)
    elif node.attr == "_create_default_https_context" and "unverified" in value.name:
        run.claim("unverified_certificate", node, 0.88)
    elif node.attr == "minimum_version" and name in _OLD:
        run.claim("old_protocol", node, 0.7)
    elif node.attr == "debug" and value.const is True and "app" in words(base.name):
        run.claim("debug_enabled", node, 0.6)


def compared(run: Run, node: ast.Compare, operator: ast.cmpop, left: Value, right: Value) -> None:
    """`len(password) < 5`: what is long enough for a password."""
    sides = (node.left, right) if isinstance(operator, (ast.Lt, ast.GtE)) else ()
    if isinstance(operator, (ast.LtE, ast.Gt)):
        sides = (node.left, right)
    if not sides or not isinstance(right.const, int) or not isinstance(node.left, ast.Call):
        return
    called, given = node.left.func, node.left.args
    if getattr(called, "id", "") != "len" or len(given) != 1:
        return
    least = right.const + isinstance(operator, (ast.LtE, ast.Gt))
    name = getattr(given[0], "id", "") or getattr(given[0], "attr", "")
    if 2 <= least < 8 and names_password(name):
        run.claim("weak_password_rule", node, 0.55)


def named(run: Run, node: ast.AST, name: str, value: Value) -> None:
    """Settings by their usual names."""
    rule = _OFF_SETTINGS.get(name)
    if rule is not None and value.const is False:
        run.claim(rule, node, 0.7)
    elif name in _CHECKS and value.const is False:
        run.claim("unverified_certificate", node, 0.65)
    elif name == "DEBUG" and value.const is True:
        if any(setting in run.text for setting in _SHOWS_DJANGO):
            run.claim("debug_enabled", node, 0.55)
    elif name in ("CORS_ALLOW_ALL_ORIGINS", "CORS_ORIGIN_ALLOW_ALL") and value.const is True:
        run.claim("open_cors", node, 0.5)


def item_set(run: Run, node: ast.AST, base: Value, index: Value, value: Value) -> None:
    """`os.environ["PYTHONHTTPSVERIFY"] = "0"`: verification off for the whole program."""
    if base.name.endswith("environ") and _VERIFYING.get(index.literal or "") == value.literal:
        if value.literal is not None:
            run.claim("unverified_certificate", node, _UNVERIFIED)


_VERIFYING = {
    "PYTHONHTTPSVERIFY": "0",
    "CURL_CA_BUNDLE": "",
    "REQUESTS_CA_BUNDLE": "",
    "GIT_SSL_NO_VERIFY": "1",
    "NODE_TLS_REJECT_UNAUTHORIZED": "0",
}
_CHECKS = frozenset(
    "verify_certs verify_ssl ssl_verify tls_verify validate_certs verify_certificate "
    "ssl_assert_hostname cert_validation".split()
)
_SHOWS_DJANGO = ("INSTALLED_APPS", "ALLOWED_HOSTS", "MIDDLEWARE", "ROOT_URLCONF")


def _served(run: Run, call: Call) -> None:
    """`app.run(debug=True)`."""
    debug = call.keyword("debug")
    app = words(call.receiver.name) & {"app", "application", "flask", "bottle", "server"}
    if debug is not None and debug.const is True and app:
        run.claim("debug_enabled", call.node, 0.75)


def _cookie(run: Run, call: Call) -> None:
    name = call.argument(0, "key")
    literal = "" if name is None else name.literal or ""
    if not words(literal) & frozenset("session sessionid sid token auth jwt access".split()):
        return
    secure, http_only = call.keyword("secure"), call.keyword("httponly")
    missing = [flag for flag in (secure, http_only) if flag is None or _is_false(flag)]
    if missing:
        run.claim("insecure_cookie", call.node, 0.55 + 0.08 * len(missing))


def entered(run: Run, function: Function) -> None:
    """Decorators that switch a protection off."""
    for node in function.decorator_list:
        target = node.func if isinstance(node, ast.Call) else node
        name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
        if name == "csrf_exempt":
            run.claim("csrf_disabled", node, 0.52)


def _any_origin(value: Value | None) -> bool:
    """`"*"`, `["*"]` or `{"/*": {"origins": "*"}}`."""
    if value is None:
        return False
    held = [*(value.items or ()), *(inner for _, inner in value.fields or ())]
    return value.literal in ("*", ".*") or any(map(_any_origin, held))


def _cors(run: Run, call: Call) -> None:
    """Any site may send requests with the visitor's cookies, and read the answers."""
    if call.last == "add_middleware":
        kind = call.argument(0)
        if kind is None or not kind.name.endswith("CORSMiddleware"):
            return
        origins = call.keyword("allow_origins") or call.keyword("allow_origin_regex")
        allowed, personal = _any_origin(origins), call.keyword("allow_credentials")
    else:
        origins = call.keyword("origins") or call.keyword("resources")
        allowed = origins is None or _any_origin(origins)
        personal = call.keyword("supports_credentials")
    if allowed and personal is not None and personal.const is True:
        run.claim("open_cors", call.node, 0.6)
    elif allowed:
        run.remark("open_cors", call.node, 0.2)


def _listener(run: Run, call: Call) -> None:
    """`logging.config.listen`: its messages are evaluated."""
    if call.keyword("verify") is None and len(call.args) < 2:
        run.claim("config_listener", call.node, 0.6)


def _model(run: Run, call: Call) -> None:
    trusted = call.keyword("trust_remote_code")
    if trusted is not None and trusted.const is True and call.keyword("revision") is None:
        run.claim("remote_code_trusted", call.node, 0.55)


def _snmp(run: Run, call: Call) -> None:
    """SNMP versions 1 and 2c have no encryption; version 3 only with a key for it."""
    if call.last == "CommunityData":
        run.claim("cleartext_protocol", call.node, 0.55)
    elif len(call.args) < 3 and call.keyword("privKey") is None:
        run.claim("cleartext_protocol", call.node, 0.5)


def _clear_text(run: Run, call: Call) -> None:
    run.claim("cleartext_protocol", call.node, 0.55)


Look = Callable[[Run, Call], None]

CALLS: Mapping[str, Look] = {
    **dict.fromkeys(
        [
            f"{module}.{name}"
            for module in ("requests", "httpx")
            for name in "get post put delete patch head options request Client AsyncClient".split()
        ],
        _client,
    ),
    "aiohttp.TCPConnector": _connector,
    **dict.fromkeys(
        "ssl._create_unverified_context ssl._create_stdlib_context".split(), _unverified
    ),
    **dict.fromkeys("urllib3.PoolManager urllib3.HTTPSConnectionPool".split(), _pool),
    "ssl.wrap_socket": _wrapped,
    "ssl.SSLContext": _context,
    **dict.fromkeys("telnetlib.Telnet ftplib.FTP".split(), _clear_text),
    "logging.config.listen": _listener,
    **dict.fromkeys("flask_cors.CORS flask_cors.cross_origin".split(), _cors),
    **dict.fromkeys(
        [
            f"pysnmp.{module}.{name}"
            for module in ("hlapi", "hlapi.asyncio", "hlapi.v3arch", "hlapi.v3arch.asyncio")
            for name in ("CommunityData", "UsmUserData")
        ],
        _snmp,
    ),
    "datasets.load_dataset": _model,
}
METHODS: Mapping[str, Look] = {
    "from_pretrained": _model,
    "add_middleware": _cors,
    "set_missing_host_key_policy": _host_keys,
    "set_cookie": _cookie,
    "run": _served,
    **dict.fromkeys("get post put delete patch request".split(), _any_client),
}
