"""Texts and mappings of outside data: they answer as the code likes, and remember what else it
takes them for."""

from recording import NUMBER

KIND_BY_ATTRIBUTE = {
    **dict.fromkeys("append extend insert sort remove reverse".split(), "list"),
    **dict.fromkeys("items keys values update setdefault pop".split(), "fields"),
    **dict.fromkeys("decode hex".split(), "bytes"),
    **dict.fromkeys("read readline readlines seek write".split(), "file"),
    **dict.fromkeys("filename save content_type stream".split(), "upload"),
    **dict.fromkeys(
        "execute executemany executescript fetchone fetchall cursor commit rollback".split(),
        "cursor",
    ),
    **dict.fromkeys(
        "resolve joinpath open read_text read_bytes exists is_file is_dir glob mkdir with_suffix"
        " suffix stem parent parents as_posix write_text unlink".split(),
        "path",
    ),
    **dict.fromkeys("xpath findall findtext iterfind getroot".split(), "node"),
    **dict.fromkeys("strftime isoformat timestamp weekday".split(), "date"),
}
"""What a value is taken for by code that asks it for an attribute that no text has."""


class Given(str):
    """A field of a request, or an argument: a text that also answers as a nested JSON object would,
    and remembers what else the code takes it for."""

    __slots__ = ("_of", "_name")

    def __new__(cls, text, of=None, name=""):
        self = super().__new__(cls, text)
        self._of, self._name = of, name
        return self

    def __getitem__(self, key):
        if isinstance(key, str):
            return self.get(key)
        return str.__getitem__(self, key)

    def get(self, key, default=None):
        return self._of.value(f"{self._name}.{key}")

    def __iter__(self):
        if self._of is not None and self._name:
            self._of.walked = self._name
        return str.__iter__(self)

    def __getattr__(self, name):
        if self._of is not None and self._name and not name.startswith("__"):
            self._of.want(self._name, KIND_BY_ATTRIBUTE.get(name, "fields"))
        raise AttributeError(f"'str' object has no attribute '{name}'", name=name, obj=self)

    def _guard(self, passed, text):
        """What a guard found of it, and a text that would have passed."""
        if not passed and self._of is not None and self._name:
            of = self._of
            marker = of.marker(of.index(self._name))
            of.ask(self._name, text.format(m=marker, n=NUMBER + of.index(self._name)))
        return passed

    def isdigit(self):
        return self._guard(str.isdigit(self), "{n}")

    isnumeric = isdecimal = isdigit

    def isalpha(self):
        return self._guard(str.isalpha(self), "{m}")

    def isalnum(self):
        return self._guard(str.isalnum(self), "{m}")

    def isidentifier(self):
        return self._guard(str.isidentifier(self), "{m}")

    def isupper(self):
        if not str.isupper(self) and self._of is not None:
            self._of.ask(self._name, str.upper(self))
        return str.isupper(self)

    def startswith(self, prefix, *args):
        first = prefix[0] if isinstance(prefix, tuple) and prefix else prefix
        return self._affix(str.startswith(self, prefix, *args), first, "{t}{m}")

    def endswith(self, suffix, *args):
        first = suffix[0] if isinstance(suffix, tuple) and suffix else suffix
        return self._affix(str.endswith(self, suffix, *args), first, "{m}{t}")

    def _affix(self, passed, affix, form):
        if not passed and self._of is not None and self._name and isinstance(affix, str):
            marker = self._of.marker(self._of.index(self._name))
            self._of.ask(self._name, form.format(t=affix, m=marker))
        return passed

    def __eq__(self, other):
        same = str.__eq__(self, other)
        if same is False and self._of is not None and self._name and isinstance(other, str):
            if 0 < len(other) <= 40 and not self._of.state.tainted(other):
                self._of.ask(self._name, str(other))
        return same

    def __ne__(self, other):
        same = self.__eq__(other)
        return same if same is NotImplemented else not same

    __hash__ = str.__hash__

    def __index__(self):
        text = str.__str__(self)
        try:
            return int(text)
        except ValueError:
            self._of.want(self._name, "digits")
            raise

    @property
    def value(self):
        return self

    def __call__(self, *_, **__):
        if self._of is None or self._name.count(":") < 2:
            raise TypeError("'str' object is not callable")
        return self

    def _number(self, other, name):
        if isinstance(other, (int, float)) and self._of is not None and self._name:
            self._of.want(self._name, "number")
        return getattr(str, name)(self, other) if hasattr(str, name) else NotImplemented

    def __truediv__(self, other):
        if self._of is not None and self._name:
            self._of.want(self._name, "path" if isinstance(other, str) else "number")
        return NotImplemented


def _operation(name):
    return lambda self, other: self._number(other, name)


for _name in "add sub lt le gt ge floordiv radd rsub rtruediv rfloordiv pow".split():
    setattr(Given, f"__{_name}__", _operation(f"__{_name}__"))


class Fields(dict):
    """Any mapping of a request: every key is there. Also answers where a framework has a call or
    an await in its place (`request.json`, `request.json()`, `await request.json()`)."""

    def __init__(self, sources, kind):
        super().__init__()
        self._sources, self._kind = sources, kind

    def __missing__(self, key):
        name = f"{self._kind}:{key}"
        if (
            self._sources.kind == "nosql"
            and self._kind in ("json", "p")
            and self._sources.attacked(name)
        ):
            return {"$ne": self._sources.text(name)}
        return self._sources.value(name)

    def __getitem__(self, key):
        return dict.get(self, key) if dict.__contains__(self, key) else self.__missing__(key)

    def get(self, key, default=None, type=None, **_):
        value = self[key]
        if type is not None:
            try:
                return type(value)
            except (TypeError, ValueError):
                return default
        return value

    def pop(self, key, default=None):
        return self[key]

    def getlist(self, key, type=None):
        return [self.get(key, type=type)]

    getall = get_list = multi_items = getlist
    getvalue = getfirst = get

    def setdefault(self, key, default=None):
        return self[key]

    def __contains__(self, key):
        return True

    has_key = __contains__

    def __bool__(self):
        return True

    def __len__(self):
        return 1

    def keys(self):
        return ["name"]

    def values(self):
        return [self["name"]]

    def items(self):
        return [("name", self["name"])]

    def __iter__(self):
        return iter(["name"])

    def to_dict(self, *_, **__):
        return self

    copy = dict = model_dump = __call__ = to_dict

    def __await__(self):
        yield from ()
        return self

    def __getattr__(self, name):
        if name.startswith("__") or hasattr(str, name):
            raise AttributeError(name)
        return self[name]

    def __repr__(self):
        return "<fields>"
