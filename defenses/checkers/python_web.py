"""What reaches a client: markup, redirects, headers, log lines, error texts; and what asks others.

A template engine that escapes is trusted; text glued to markup is not.
"""

import ast
import re
from collections.abc import Callable, Mapping

from bluecode.defenses.checkers import python_scores as scores
from bluecode.defenses.checkers.python_injection import live, report
from bluecode.defenses.checkers.python_names import words
from bluecode.defenses.checkers.python_state import Call, Run, State
from bluecode.defenses.checkers.python_values import Level, Tag, Value, all_tags, is_constant

_MARKUP = re.compile(
    r"<(?:!doctype|/?(?:html|head|body|div|span|p|a|b|i|h[1-6]|br|hr|img|ul|ol|li|table|tr|t[dhr]|"
    r"form|input|textarea|select|option|button|script|style|title|meta|link|iframe|strong|em|pre|"
    r"code|label|nav|section|article|header|footer|main|svg|center|font|small|blockquote)\b)",
    re.I,
)
_HOST_KNOWN = re.compile(r"^[a-z][a-z0-9+.-]*://[^/@?#\\]+[/?#]", re.I)
_LOG_METHODS = frozenset("debug info warning warn error critical exception log".split())
_LOGGERS = frozenset("log logger logging LOG audit".split())


def _is_markup(value: Value) -> bool:
    text = "\0".join(part for part in value.parts if isinstance(part, str))
    return _MARKUP.search(text) is not None


def delivered(run: Run, state: State, node: ast.Return | ast.Yield, value: Value) -> None:
    """A returned value: a page where the function is a handler or the text is markup."""
    body = value.items[0] if value.items else value
    if "html" in body.marks and not body.composed:
        return
    tags = state.live(body.tags, "html")
    if run.frame.handler == "html" and body.name != "dict" and body.fields is None:
        found = [tag for tag in tags if tag.level is Level.REQUEST]
        if found and not _opaque(body):
            run.claim("xss", node, 0.88 if body.composed else 0.75, Level.REQUEST)
        _trace_shown(run, node, body)
    if body.composed and _is_markup(body) and tags:
        found_score = scores.score(scores.MARKUP, tags)
        if found_score >= scores.WORTH_SAYING:
            run.claim("xss", node, found_score, tags[0].level)
    elif body.composed and _is_markup(body):
        _trace_shown(run, node, body)


def _opaque(value: Value) -> bool:
    """Text made by a function that nobody here can read, such as a template's `render`."""
    return any(tag.root.endswith(">call") for tag in value.tags)


def _trace_shown(run: Run, node: ast.AST, value: Value) -> None:
    """A traceback in an answer; the message of an error alone is no claim."""
    if any(tag.root.startswith("traceback@") for tag in all_tags(value)):
        run.claim("error_disclosure", node, 0.7)


def _page(run: Run, call: Call) -> None:
    """A response object that is HTML unless it says otherwise."""
    body = call.argument(0, "content") or call.argument(0, "text") or call.argument(0, "response")
    body = body or call.keyword("body")
    if body is None or _other_type(call):
        return
    tags = live(call, body, "html")
    strong = [tag for tag in tags if tag.level is Level.REQUEST]
    if strong and body.fields is None and not _opaque(body):
        run.claim("xss", call.node, 0.88 if body.composed else 0.8, Level.REQUEST)
    elif tags and body.composed and _is_markup(body):
        report(run, call, "xss", scores.MARKUP, tags)
    _trace_shown(run, call.node, body)


def _other_type(call: Call) -> bool:
    """Whether the response says that it is no page."""
    for name in ("content_type", "mimetype", "media_type", "content_type_override"):
        given = call.keyword(name)
        if given is not None:
            return "html" not in (given.literal or "html")
    headers = call.keyword("headers") or call.argument(2)
    kind = headers.field("Content-Type") if headers is not None else None
    if kind is not None:
        return "html" not in (kind.literal or "html")
    return call.name in _PLAIN_BY_DEFAULT


_PLAIN_BY_DEFAULT = frozenset(
    "aiohttp.web.Response web.Response starlette.responses.Response fastapi.Response "
    "fastapi.responses.Response sanic.response.text".split()
)


def _written(run: Run, call: Call) -> None:
    """`self.write(text)` of a request handler and `self.wfile.write(...)`."""
    body = call.argument(0)
    receiver = call.receiver.name
    if body is None or not (receiver == "self" or receiver.endswith(("wfile", "response.out"))):
        return
    if body.fields is not None or run.frame.plain:
        return
    tags = live(call, body, "html")
    strong = [tag for tag in tags if tag.level is Level.REQUEST]
    if strong and (body.composed or receiver != "self"):
        run.claim("xss", call.node, 0.85, Level.REQUEST)
    elif tags and body.composed and _is_markup(body):
        report(run, call, "xss", scores.MARKUP, tags)


def _marked_safe(run: Run, call: Call) -> None:
    """Text declared to be safe markup."""
    content = call.argument(0)
    tags = live(call, content, "html")
    profile = {**scores.MARKUP, Level.PARAMETER: 0.72, Level.PRIVATE: 0.6, Level.UNKNOWN: 0.45}
    profile[Level.FIELD] = 0.52
    report(run, call, "xss", profile, tags)


def _format_markup(run: Run, call: Call) -> None:
    """`format_html` is safe only while its format is constant."""
    template = call.argument(0, "format_string")
    if template is not None and template.composed:
        report(run, call, "xss", scores.MARKUP, live(call, template, "html"))


def _engine(run: Run, call: Call) -> None:
    """`jinja2.Environment` without autoescape."""
    given = call.keyword("autoescape")
    if call.keyword("**") is not None and given is None:
        return
    if call.name == "Environment" and call.keyword("loader") is None:
        return
    if given is None or (is_constant(given) and not given.const):
        run.claim("autoescape_off", call.node, 0.55 if given is None else 0.65)


_PAGES = frozenset("django flask fastapi starlette aiohttp wtforms jinja2 markupsafe".split())
_FOR_PAGES = frozenset("html page view template context queryset article post comment".split())


def _rendered(run: Run, call: Call) -> None:
    """Markdown lets markup through: what renders it must clean the result."""
    tags = live(call, call.argument(0, "text"), "html")
    level = max((tag.level for tag in tags), default=Level.NONE)
    cleans = any("clean" in name or "sanitize" in name for name in run.called.all)
    paged = bool(run.imports & _PAGES) or bool(words(run.frame.name) & _FOR_PAGES)
    if level is Level.NONE or cleans or call.keyword("safe_mode") is not None:
        return
    if "bleach" not in run.imports and "nh3" not in run.imports and paged:
        run.claim("xss", call.node, 0.75 if level is Level.REQUEST else 0.5, level)


def _mako(run: Run, call: Call) -> None:
    if call.keyword("default_filters") is None and call.name.endswith("TemplateLookup"):
        run.claim("autoescape_off", call.node, 0.5)


def _template_text(run: Run, call: Call) -> None:
    """`|safe` in a template that is given values of a request."""
    source = call.argument(0)
    literal = None if source is None else source.literal
    if literal is None or not re.search(r"\|\s*safe\b|autoescape\s+(?:false|off)", literal):
        return
    tags = [
        tag
        for _, value in call.keywords
        for tag in live(call, value, "html")
        if tag.level is Level.REQUEST
    ]
    report(run, call, "xss", scores.MARKUP, tags)


def _redirect(run: Run, call: Call) -> None:
    target = call.argument(0, "location") or call.argument(0, "url") or call.keyword("redirect_to")
    if target is None or _stays(call, target):
        return
    tags = [tag for tag in live(call, target, "url") if tag.level is Level.REQUEST]
    report(run, call, "open_redirect", scores.ONLY_REQUESTS, tags)


def _stays(call: Call, target: Value) -> bool:
    """Whether the address cannot leave this site, whatever fills its holes."""
    first = target.parts[0] if target.parts else None
    if isinstance(first, str):
        return (
            first.startswith(("/", "?", "#"))
            and first[1:2] not in ("/", "\\", "")
            or (_HOST_KNOWN.match(first) is not None)
            or (first == "/" and len(target.parts) == 1)
        )
    rooted = not call.state.live(target.tags, "not_rooted")
    return bool(target.tags) and rooted and not call.state.live(target.tags, "not_double")


def _request(run: Run, call: Call) -> None:
    """A request to an address whose host somebody else decides."""
    index = 1 if call.last in ("request", "stream") else 0
    address = call.argument(index, "url") or call.keyword("host")
    if address is None:
        return
    first = address.parts[0] if address.parts else None
    if isinstance(first, str) and (_HOST_KNOWN.match(first) or first.startswith("/")):
        return
    looked_up = _ADDRESS_CHECKED.search(run.text) is not None
    profile = scores.RESOLVED if looked_up else scores.NETWORK
    report(run, call, "ssrf", profile, live(call, address, "url"))


_ADDRESS_CHECKED = re.compile(r"\.is_(?:global|private|loopback|link_local|reserved)\b")
"""Somebody looks at what kind of address a name stands for."""


def _session_request(run: Run, call: Call) -> None:
    """`session.get(url)` of a client object."""
    found = words(call.receiver.name)
    if call.receiver.name.startswith(("requests.Session", "httpx.", "aiohttp.")) or (
        found & frozenset("http client session async".split()) and "flask" not in found
    ):
        if "request" not in call.receiver.marks and call.name not in CALLS:
            _request(run, call)


def _header(run: Run, call: Call) -> None:
    name, value = call.argument(0, "name"), call.argument(1, "value")
    if name is not None and (name.literal or "").lower() == "content-type":
        run.frame.plain = value is not None and "html" not in (value.literal or "html")
    tags = [tag for tag in live(call, value, "header") if tag.level is Level.REQUEST]
    if tags:
        run.claim("header_injection", call.node, 0.55, Level.REQUEST)


def item_set(run: Run, state: State, node: ast.Subscript, base: Value, value: Value) -> None:
    """`response.headers[name] = value`."""
    name = base.name or (node.value.id if isinstance(node.value, ast.Name) else "")
    if not words(name) & {"header", "headers"} or base.name.startswith("request"):
        return
    tags = [t for t in state.live(value.tags, "header") if t.level >= Level.PARAMETER]
    if tags and tags[0].level is Level.REQUEST:
        run.claim("header_injection", node, 0.58, Level.REQUEST)


_CONVERSION = re.compile(r"%[-#0 +]*[\d.*]*([a-zA-Z])")
"""Of all conversions only `%s` lets a line break through."""


def _logged(run: Run, call: Call) -> None:
    found = words(call.receiver.name) | words(call.name.partition(".")[0])
    if not found & _LOGGERS and not call.name.startswith("logging."):
        return
    form = call.args[0].literal if call.args else None
    kinds = ["s", *_CONVERSION.findall((form or "").replace("%%", ""))]
    if form is not None and "%(" in form:
        kinds = ["s"]  # One dictionary stands for all of them.
    tags: list[Tag] = []
    for place, value in enumerate(call.args):
        if place >= len(kinds) or kinds[place] == "s":
            tags += [tag for tag in live(call, value, "log") if tag.level is Level.REQUEST]
    if tags:
        run.claim("log_injection", call.node, 0.55, Level.REQUEST)


def host_compared(
    run: Run, node: ast.Compare, operator: ast.cmpop, left: Value, right: Value
) -> None:
    """`trusted in url.netloc`: a part of the host's text is not the host."""
    if isinstance(operator, (ast.In, ast.NotIn)) and _is_host(right):
        dotless = left.literal is None or "." in left.literal
        if dotless and left.literal not in ("..", "."):
            run.claim("weak_host_check", node, 0.7)


def _is_host(value: Value) -> bool:
    return value.name.endswith((".netloc", ".hostname"))


def _host_ending(run: Run, call: Call) -> None:
    """`host.endswith(trusted)` without the leading dot accepts look-alikes."""
    if not _is_host(call.receiver) or not call.args:
        return
    ends = call.args[0].items or call.args[:1]
    for end in ends:
        first = end.parts[0] if end.parts else None
        if not (isinstance(first, str) and first.startswith(".")):
            run.claim("weak_host_check", call.node, 0.7)


def _assigned_fields(run: Run, call: Call) -> None:
    """`setattr(thing, name, value)` with names of a request."""
    name, thing = call.argument(1), call.argument(0)
    tags = live(call, name, "name")
    sent = [tag for tag in tags if tag.level is Level.REQUEST]
    report(run, call, "mass_assignment", scores.ONLY_REQUESTS, sent)
    named = [tag for tag in tags if tag.level is Level.PARAMETER and tag.root.endswith(">each")]
    record = thing is not None and any(tag.root.startswith("param ") for tag in thing.tags)
    if record and any(words(tag.root) & _GIVEN for tag in named):
        run.claim("mass_assignment", call.node, 0.52, Level.PARAMETER)


_GIVEN = frozenset("data payload form fields updates changes body json attributes".split())


def _reflected(run: Run, call: Call) -> None:
    """`getattr(module, name)` with a name of a request; a constant before it confines it."""
    name = call.argument(1)
    if name is None or (name.parts and isinstance(name.parts[0], str)):
        return
    tags = [tag for tag in live(call, name, "name") if tag.level is Level.REQUEST]
    if tags:
        run.claim("reflection", call.node, 0.62, Level.REQUEST)


_VALIDATES = frozenset(
    "schema form dto input payload request params serializer validator query body args settings "
    "response dict filter update wrapper namespace".split()
)


def spread(run: Run, call: Call) -> None:
    """`User(**request.json)`: a record whose every field the client may set."""
    given = call.keyword("**")
    if given is None:
        return
    own = call.callee.code
    if own is not None and not (isinstance(own, ast.ClassDef) and _grants(own)):
        return
    found = words(call.last)
    record = call.last[:1].isupper() or call.last in ("create", "get_or_create", "update_one")
    if not record or found & _VALIDATES:
        return
    tags = [tag for tag in live(call, given, "name") if tag.level is Level.REQUEST]
    if tags and any(word in tags[0].root for word in ("json", "form", "POST", "data", "body")):
        run.claim("mass_assignment", call.node, 0.58, Level.REQUEST)


def _grants(node: ast.ClassDef) -> bool:
    """A record of the snippet with a field that decides what somebody may."""
    return any(
        isinstance(target, ast.Name) and words(target.id) & {"admin", "role", "staff", "superuser"}
        for item in node.body
        if isinstance(item, (ast.Assign, ast.AnnAssign))
        for target in (item.targets if isinstance(item, ast.Assign) else [item.target])
    )


def _merged_fields(run: Run, call: Call) -> None:
    """`thing.__dict__.update(request data)`."""
    if call.receiver.name.endswith("__dict__") and call.args:
        tags = [tag for tag in live(call, call.args[0], "name") if tag.level is Level.REQUEST]
        report(run, call, "mass_assignment", scores.ONLY_REQUESTS, tags)


Look = Callable[[Run, Call], None]

_CLIENTS = [
    f"{module}.{name}"
    for module in ("requests", "httpx")
    for name in "get post put delete patch head options request stream".split()
]

CALLS: Mapping[str, Look] = {
    **dict.fromkeys(_CLIENTS, _request),
    **dict.fromkeys(
        "urllib.request.urlopen urllib.urlopen urllib.request.urlretrieve urllib.request.Request "
        "urllib.Request urllib.urlretrieve http.client.HTTPConnection http.client.HTTPSConnection "
        "urllib3.request aiohttp.request wget.download".split(),
        _request,
    ),
    **dict.fromkeys(
        "django.http.HttpResponse flask.Response flask.make_response "
        "werkzeug.wrappers.Response starlette.responses.HTMLResponse "
        "fastapi.responses.HTMLResponse aiohttp.web.Response sanic.response.html "
        "django.http.HttpResponseBadRequest django.http.HttpResponseNotFound webob.Response "
        "pyramid.response.Response HttpResponse HTMLResponse make_response".split(),
        _page,
    ),
    **dict.fromkeys(
        "markupsafe.Markup flask.Markup jinja2.Markup Markup django.utils.safestring.mark_safe "
        "django.utils.safestring.SafeString mark_safe jinja2.utils.markupsafe.Markup "
        "django.utils.safestring.SafeText".split(),
        _marked_safe,
    ),
    **dict.fromkeys(["jinja2.Environment", "Environment"], _engine),
    **dict.fromkeys(
        "markdown.markdown markdown markdown2.markdown mistune.html mistune.markdown "
        "commonmark.commonmark".split(),
        _rendered,
    ),
    "mako.lookup.TemplateLookup": _mako,
    "setattr": _assigned_fields,
    "getattr": _reflected,
}
METHODS: Mapping[str, Look] = {
    "format_html": _format_markup,
    "write": _written,
    "render_template_string": _template_text,
    **dict.fromkeys(
        "redirect HttpResponseRedirect HttpResponsePermanentRedirect RedirectResponse HTTPFound "
        "HTTPSeeOther HTTPMovedPermanently HTTPTemporaryRedirect redirect_to".split(),
        _redirect,
    ),
    **dict.fromkeys(
        "get post put patch delete head request stream fetch".split(), _session_request
    ),
    **dict.fromkeys("send_header set_header add_header".split(), _header),
    **dict.fromkeys(_LOG_METHODS, _logged),
    "endswith": _host_ending,
    "update": _merged_fields,
}
