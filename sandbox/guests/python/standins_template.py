"""Templates and markup: the source of a template is told; values come out escaped as they would."""

import html
import re

from recording import plain

PLACE = re.compile(r"\{\{-?\s*([\w.\[\]'\"]+)((?:\s*\|\s*\w+(?:\([^)]*\))?)*)\s*-?\}\}")
SAFE = re.compile(r"\|\s*safe\b")
ESCAPED = re.compile(r"\|\s*(?:e|escape|forceescape|tojson|urlencode|striptags)\b")
TAGS = re.compile(r"\{%.*?%\}|\{#.*?#\}", re.DOTALL)


class Markup(str):
    """Markup that is safe as it stands; what is put into it is escaped, as markupsafe does."""

    def __html__(self):
        return self

    @classmethod
    def escape(cls, value):
        return escape(value)

    def format(self, *args, **keywords):
        named = {key: escape(value) for key, value in keywords.items()}
        return Markup(str.format(self, *map(escape, args), **named))

    def __mod__(self, value):
        if isinstance(value, dict):
            return Markup(str.__mod__(self, {key: escape(item) for key, item in value.items()}))
        values = value if isinstance(value, tuple) else (value,)
        return Markup(str.__mod__(self, tuple(escape(item) for item in values)))

    def __add__(self, other):
        return Markup(str.__add__(self, escape(other)))

    def __radd__(self, other):
        return Markup(str.__add__(escape(other), self))

    def join(self, items):
        return Markup(str.join(self, [escape(item) for item in items]))

    def unescape(self):
        return html.unescape(self)

    def striptags(self):
        return re.sub(r"<[^>]*>", "", self)


def escape(value):
    if hasattr(value, "__html__"):
        return Markup(value.__html__())
    return Markup(html.escape(plain(value)))


def format_html(text, *args, **keywords):
    return Markup(text).format(*args, **keywords)


def bleached(text, *_, **__):
    return Markup(html.escape(plain(text)))


def fill(source, context, escapes):
    """A template with its places filled in; control structures are left out."""

    def place(found):
        value = context.get(found[1].split(".")[0].split("[")[0], "")
        unescaped = SAFE.search(found[2]) or not escapes
        shown = ESCAPED.search(found[2])
        return plain(value) if unescaped and not shown else escape(value)

    return PLACE.sub(place, TAGS.sub("", source))


def install(sink):
    """Returns `render(api, source, context, escapes)`, which tells the source and fills it."""

    def render(api, source, context, escapes=True):
        text = plain(source)
        sink("template", api, text)
        return fill(text, context, escapes)

    return render


def providers(unknown, sink, render):
    class Template:
        def __init__(self, source="", *_, autoescape=False, text=None, escapes=None, told=False,
                     **__):  # fmt: skip
            self.source = plain(source or text or "")
            self._escapes = autoescape if escapes is None else escapes
            if not told:
                sink("template", "Template", self.source)

        def render(self, *args, **context):
            for mapping in args:
                if isinstance(mapping, dict):
                    context = {**mapping, **context}
            return Rendered(fill(self.source, context, self._escapes))

        render_unicode = generate = substitute = safe_substitute = render

        async def render_async(self, **context):
            return self.render(**context)

    class Environment:
        def __init__(self, *_, autoescape=False, **__):
            self._escapes = bool(autoescape)
            self.filters, self.globals = {}, {}
            if autoescape is False:
                sink("setting", "jinja2.Environment", "autoescape is off", cwe=[79, 94])

        def from_string(self, source, *_, **__):
            return Template(source, escapes=self._escapes)

        def get_template(self, name, *_, **__):
            sink("template_name", "get_template", name)
            return Template("<p></p>", escapes=self._escapes)

    def jinja(module):
        module.Template, module.Environment = Template, Environment
        module.escape, module.Markup = escape, Markup
        module.select_autoescape = lambda *_, **__: True

    def sandboxed(module):
        class Safe(Environment):
            def from_string(self, source, *_, **__):
                sink("template", "SandboxedEnvironment", source, sandboxed=True)
                return Template("", escapes=True, told=True)

        module.SandboxedEnvironment = module.ImmutableSandboxedEnvironment = Safe

    def mako(module):
        module.Template = Template

    def django_template(module):
        def make(source="", *_, **__):
            return Template(source, escapes=True)

        module.Template, module.Context = make, dict
        module.engines = {"django": Environment(autoescape=True)}

    def markup(module):
        module.escape = module.conditional_escape = module.xhtml_escape = escape
        module.Markup = module.mark_safe = module.SafeString = Markup
        module.format_html, module.escape_silent = format_html, escape
        module.clean = module.linkify = module.strip_tags = module.escapejs = bleached
        module.format_html_join = lambda separator, text, rows: Markup(separator).join(
            format_html(text, *row) for row in rows
        )

    names = ("markupsafe", "django.utils.html", "django.utils.safestring", "bleach", "nh3",
             "tornado.escape", "werkzeug.utils.html", "cgi")  # fmt: skip
    found = dict.fromkeys(names, markup)
    found.update({"jinja2": jinja, "jinja2.sandbox": sandboxed, "mako.template": mako,
                  "django.template": django_template})  # fmt: skip
    return found


class Rendered(str):
    """What a template gave, with the template's own escaping already done."""

    def __html__(self):
        return str(self)
