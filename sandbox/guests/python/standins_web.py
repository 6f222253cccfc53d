"""Web frameworks: a request that has every field, and answers that are told as they leave.

One request and one response stand for flask, django, fastapi, starlette, aiohttp, bottle and
tornado alike: their attributes do not clash. Registered handlers are called by the driver.
"""

import html
import json
import logging
import posixpath
import re
import types
import urllib.parse

from incoming import Request, Session, Upload
from recording import Refusal, plain
from given import Fields

HTML = "text/html"
URL_CHARACTERS = "%!#$&'()*+,/:;=?@[]~"
JSON_FRAMEWORKS = ("fastapi", "litestar", "rest_framework", "flask_restful", "flask_restx")
"""A text that a handler returns here goes out as a JSON string."""
TYPED_FRAMEWORKS = ("fastapi", "litestar")
"""What a handler is annotated with is checked before it is called."""
TEXT_FRAMEWORKS = ("aiohttp", "starlette")
"""A response here is plain text unless its type is given."""
APPLICATIONS = (
    "Flask FastAPI Blueprint APIRouter Starlette Application Bottle Quart Sanic Litestar Router "
    "RouteTableDef Api"
).split()
FRAMEWORKS = (
    "flask quart fastapi fastapi.responses fastapi.requests fastapi.exceptions flask.views "
    "starlette.responses starlette.requests starlette.applications starlette.routing "
    "starlette.endpoints starlette.exceptions django.http django.http.response django.shortcuts "
    "django.views django.views.generic django.views.generic.base django.urls "
    "django.core.exceptions django.utils.http aiohttp.web bottle tornado.web werkzeug "
    "werkzeug.utils werkzeug.security werkzeug.exceptions werkzeug.wrappers sanic sanic.response "
    "litestar flask_restful flask_restx rest_framework.views rest_framework.response"
).split()
METHODS = ("route", "get", "post", "put", "patch", "delete", "head", "options", "api_route",
           "websocket", "view", "errorhandler_", "add_url_rule", "add_route", "add_api_route",
           "add_get", "add_post")  # fmt: skip


class Headers(dict):
    """Headers of an answer; frameworks refuse a line break in one."""

    def __init__(self, sink, given=None):
        super().__init__()
        self._sink = sink
        for name, value in dict(given or {}).items():
            self[name] = value

    def __setitem__(self, name, value):
        text = plain(value)
        if "\n" in text or "\r" in text:
            raise ValueError("Header values must not contain newline characters.")
        self._sink("header", f"header {plain(name)}"[:60], text)
        dict.__setitem__(self, plain(name), text)

    set = add = append = __setitem__


class Response:
    """Every framework's response; told when the handler returns it."""

    def __init__(self, sink, body="", kind=HTML, status=200, headers=None):
        self._sink = sink
        self.body = body
        self.status_code = self.status = status
        self.headers = Headers(sink, headers)
        self.content_type = self.mimetype = kind

    content = data = property(
        lambda self: self.body, lambda self, value: setattr(self, "body", value)
    )

    def __setitem__(self, name, value):
        self.headers[name] = value

    def __getitem__(self, name):
        return self.headers.get(name, "")

    set_header = add_header = __setitem__

    def set_data(self, value):
        self.body = value

    def get_data(self, *_, **__):
        return plain(self.body).encode()

    def write(self, text):
        self.body = plain(self.body) + plain(text)

    def set_cookie(self, name="", value="", *_, **options):
        secure = options.get("secure", False)
        http_only = options.get("httponly", options.get("http_only", False))
        if not secure:
            self._sink("weak", "set_cookie", "a cookie without `secure` was set", cwe=[614])
        if not http_only:
            self._sink("weak", "set_cookie", "a cookie without `httponly` was set", cwe=[1004])

    set_signed_cookie = set_cookie

    def delete_cookie(self, *_, **__):
        return None

    def json(self):
        return {}


def make(sources, state, sink, unknown, base, disk_open, database, render):
    """All that frameworks offer, by the name it goes by; and `answer`, which tells a result."""
    request = Request(sources, unknown, disk_open, database)
    web = types.SimpleNamespace(request=request, sink=sink)

    def kind_of(keywords, default=HTML):
        names = ("content_type", "mimetype", "media_type")
        return next((plain(keywords[name]) for name in names if keywords.get(name)), default)

    def respond(default):
        def response(body="", status=200, *args, headers=None, **keywords):
            body = keywords.get("text", keywords.get("body", keywords.get("content", body)))
            body = keywords.get("response", body)
            return Response(sink, body, kind_of(keywords, default), status, headers)

        return response

    def redirect(location="/", *_, **keywords):
        target = plain(keywords.get("url", keywords.get("location", keywords.get("to", location))))
        if "\n" in target or "\r" in target:
            raise ValueError("Header values must not contain newline characters.")
        # werkzeug, django and starlette all quote what may not stand in a URL, backslashes too.
        sink("redirect", "redirect", urllib.parse.quote(target, safe=URL_CHARACTERS))
        return Response(sink, "", "text/plain", 302)

    def jsonify(*args, **keywords):
        return Response(sink, json.dumps(plain([args, keywords])), "application/json")

    def render_template(name="", context=None, *_, **keywords):
        sink("template_name", "render_template", name)
        return Response(sink, "<p></p>", HTML)

    def render_string(source="", **context):
        return Response(sink, render("render_template_string", source, context), HTML)

    def django_render(request=None, name="", context=None, *_, **__):
        return render_template(name)

    def send_file(path="", *_, **__):
        if isinstance(path, (str, bytes)) or hasattr(path, "__fspath__"):
            disk_open(path, "rb")
        return Response(sink, "", "application/octet-stream")

    def safe_join(directory, *parts):
        path = posixpath.normpath(posixpath.join(*map(plain, parts)))
        if path.startswith(("..", "/")):
            return None
        return posixpath.join(plain(directory), path)

    def send_from_directory(directory="", path="", *_, **keywords):
        joined = safe_join(directory, keywords.get("filename", path))
        if joined is None:
            raise Refusal("NotFound")
        return send_file(joined)

    def secure_filename(name):
        text = re.sub(r"[^A-Za-z0-9_.-]", "", "_".join(plain(name).replace("/", " ").split()))
        return text.strip("._")

    def abort(*_, **__):
        raise Refusal("abort")

    def url_for(name="index", **_):
        return "/" + plain(name).replace(".", "/")

    def allowed_host(url, allowed_hosts=(), require_https=False, **_):
        text = plain(url).strip().replace("\\", "/")
        parts = urllib.parse.urlsplit(text)
        if text.startswith("///") or (not parts.netloc and parts.scheme):
            return False
        return not parts.netloc or parts.netloc in (allowed_hosts or ())

    def depends(function=None, *_, **__):
        return Depends(function)

    class App:
        """An application or a router of any framework."""

        debug = False
        secret_key = None
        answers_json = checks = False

        def __init__(self, *_, **__):
            self.config = Session()
            self.router = self.state = self.jinja_env = unknown("app")
            self.logger = logging.getLogger("app")

        def run(self, *_, debug=False, host="127.0.0.1", **__):
            if debug or self.debug:
                sink("weak", "app.run", "the debugger is on", cwe=[489, 94, 215])
            if host == "0.0.0.0":
                sink("weak", "app.run", "listens on every address", cwe=[605])

        def before_request(self, function):
            state.handler(function, page=False)
            return function

        def after_request(self, function):
            return function

        teardown_request = teardown_appcontext = context_processor = after_request
        cli = unknown("app.cli")

        def on_event(self, *_, **__):
            return lambda function: function

        errorhandler = exception_handler = middleware = on_event
        template_filter = template_global = template_test = on_event

        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)
            return unknown("app." + name)

        def test_client(self, *_, **__):
            return unknown("client")

        def include_router(self, *_, **__):
            return None

        register_blueprint = add_middleware = mount = add_url_rules = include_router

    def register(self, rule="/", function=None, *args, **keywords):
        function = keywords.get("view_func", function if callable(function) else None)
        function = next((item for item in args if callable(item)), function)
        page = not self.answers_json or keywords.get("response_class") is web.HTMLResponse
        if isinstance(rule, types.FunctionType):
            state.handler(rule, page=page, checks=self.checks)
            return rule
        if function is not None:
            state.handler(function, rule, page, self.checks)

        def decorate(target):
            state.handler(target, rule, page, self.checks)
            return target

        return decorate

    for method in METHODS:
        setattr(App, method, register)
    json_app = type("JsonApp", (App,), {"answers_json": True})
    typed_app = type("TypedApp", (json_app,), {"checks": True})
    base_view = make_view(base, web, redirect, render_string, sink)
    json_view = type("JsonView", (base_view,), {})

    def answer(result, api, page=True):
        """Tell what a handler returned, as the client would get it."""
        status, headers = 200, None
        if isinstance(result, tuple) and result:
            headers = next((item for item in result[1:] if isinstance(item, dict)), None)
            result = result[0]
        if headers:
            Headers(sink, headers)
        if isinstance(result, Response):
            body, kind = result.body, result.content_type
        elif isinstance(result, (str, bytes)):
            body, kind = result, HTML if page else "application/json"
        else:
            return status
        sink("page" if "html" in plain(kind) else "value", api, body, line=0)
        return status

    def cgi(module):
        module.FieldStorage = lambda *_, **__: Fields(sources, "form")
        module.escape = html.escape
        module.parse_header = lambda line: (plain(line), {})

    web.__dict__.update(
        cgi=cgi, Response=respond(HTML), HTMLResponse=respond(HTML), HttpResponse=respond(HTML),
        PlainTextResponse=respond("text/plain"), JSONResponse=respond("application/json"),
        JsonResponse=respond("application/json"), make_response=lambda body="", *_: (
            body if isinstance(body, Response) else Response(sink, body)),
        redirect=redirect, RedirectResponse=redirect, HttpResponseRedirect=redirect,
        HTTPFound=redirect, HttpResponsePermanentRedirect=redirect, HTTPSeeOther=redirect,
        jsonify=jsonify, json_response=respond("application/json"), render=django_render,
        render_template=render_template, render_template_string=render_string,
        send_file=send_file, FileResponse=send_file, send_from_directory=send_from_directory,
        static_file=lambda name, root="", **_: send_from_directory(root, name),
        safe_join=safe_join, secure_filename=secure_filename, abort=abort, url_for=url_for,
        reverse=url_for, get_flashed_messages=list, flash=lambda *_, **__: None,
        url_has_allowed_host_and_scheme=allowed_host, is_safe_url=allowed_host,
        Depends=depends, App=App, JsonApp=json_app, TypedApp=typed_app,
        View=base_view, JsonView=json_view, session=Session(), g=Session(),
        answer=answer, Session=Session, StreamingResponse=respond("application/octet-stream"),
        get_object_or_404=lambda *_, **__: database.Row(),
        HttpResponseForbidden=respond("text/plain"),
        HttpResponseBadRequest=respond("text/plain"), HttpResponseNotFound=respond("text/plain"),
    )  # fmt: skip
    return web


class Depends:
    def __init__(self, function):
        self.function = function


def make_view(base, web, redirect, render_string, sink):
    """The base of class-based handlers."""

    class View(base):
        def __init__(self, *_, **keywords):
            super().__init__(**keywords)
            self.__dict__.update(request=web.request, application=None, path_args=[], kwargs={})

        def get_argument(self, key, default=None, strip=True):
            return web.request.args[key]

        get_query_argument = get_body_argument = get_cookie = get_secure_cookie = get_argument

        def write(self, chunk):
            sink("value" if isinstance(chunk, dict) else "page", "self.write", chunk)

        def finish(self, chunk=""):
            self.write(chunk)

        def render(self, name, **_):
            sink("template_name", "self.render", name)

        def redirect(self, location, *_, **__):
            redirect(location)

        def set_header(self, name, value):
            Headers(sink)[name] = value

        add_header = set_header

        def set_status(self, *_):
            return None

        set_cookie = clear_cookie = send_error = set_status

        @classmethod
        def as_view(cls, *_, **__):
            return cls

    return View


def providers(web, unknown):
    """Framework modules, by name: each offers what it is known for."""
    shared = {
        name: value
        for name, value in web.__dict__.items()
        if name not in ("sink", "cgi", "App", "JsonApp", "TypedApp", "answer")
    }

    def framework(module):
        for name, value in shared.items():
            setattr(module, name, value)
        root = module.__name__.partition(".")[0]
        made = web.JsonApp if root in JSON_FRAMEWORKS else web.App
        if root in TYPED_FRAMEWORKS:
            made = web.TypedApp
        for name in APPLICATIONS:
            setattr(module, name, made)
        if root in JSON_FRAMEWORKS or root in TEXT_FRAMEWORKS:
            module.Response = web.JSONResponse if root in JSON_FRAMEWORKS else web.PlainTextResponse
        if root == "sanic":
            module.html, module.text = web.HTMLResponse, web.PlainTextResponse
            module.json, module.file = web.JSONResponse, web.FileResponse
        app = made()
        for method in METHODS:
            setattr(module, method, getattr(app, method))
        module.run = app.run
        module.HTTPException = module.Http404 = module.PermissionDenied = module.HTTPError = Refusal
        module.HTTPBadRequest = module.HTTPForbidden = module.HTTPNotFound = Refusal
        module.BadRequest = module.NotFound = module.Forbidden = module.SuspiciousOperation = (
            Refusal
        )
        module.Request = module.HttpRequest = type(web.request)
        module.RequestHandler = module.MethodView = module.TemplateView = module.HTTPEndpoint = (
            web.View
        )
        module.Resource = module.APIView = module.ViewSet = web.JsonView
        module.current_app = app
        module.UploadFile = Upload
        for name in ("Query", "Form", "Path", "Body", "Header", "Cookie", "File"):
            setattr(module, name, Depends)

    return dict.fromkeys(FRAMEWORKS, framework)
