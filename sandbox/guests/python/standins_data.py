"""Serialised objects, XML, archives of objects, directories and regular expressions."""

import json
import marshal
import pickle
import re
import shelve
import sys
import types

from pumps import fitting
from recording import NUMBER, SNIPPET, frame_above, plain
from scopes import Awaited
from standins_xml import body

RECORDED = ("match", "search", "fullmatch", "findall", "finditer", "sub", "subn", "split")


def install(state, sources, sink):
    _install_json()
    _install_pickles(sink)
    _install_patterns(state, sources, sink)


def _install_json():
    """JSON of what is not there: it is read as something not there, and written as its name."""
    loads, load, dumps = json.loads, json.load, json.dumps

    def read(text, *args, **keywords):
        return text if isinstance(text, Awaited) else loads(text, *args, **keywords)

    def read_file(file, *args, **keywords):
        return file if isinstance(file, Awaited) else load(file, *args, **keywords)

    def write(value, *args, **keywords):
        if not isinstance(keywords.get("cls", json.JSONEncoder), type):
            keywords.pop("cls")
        keywords["default"] = keywords.get("default") or str
        return dumps(value, *args, **keywords)

    json.loads, json.load, json.dumps = read, read_file, write


def _install_pickles(sink):
    def loads(api):
        def load(data=b"", *_, **__):
            sink("object", api, body(data))
            return {"name": "value", "id": 1}

        return load

    class Unpickler:
        def __init__(self, file=None, *_, **__):
            self._file = file

        def find_class(self, module, name):
            return getattr(sys.modules.get(module, types), name, None)

        def persistent_load(self, key):
            return None

        def load(self):
            data = body(self._file)
            if type(self).find_class is not Unpickler.find_class:
                # An own `find_class` decides: does it let a callable of the system through?
                self.find_class("os", "system")
                sink("object", "pickle.Unpickler", data, restricted=True)
            else:
                sink("object", "pickle.Unpickler", data)
            return {"name": "value"}

    pickle.loads, pickle.load = loads("pickle.loads"), loads("pickle.load")
    pickle.Unpickler = pickle._Unpickler = Unpickler
    marshal.loads, marshal.load = loads("marshal.loads"), loads("marshal.load")

    def opened(path, *_, **__):
        sink("object", "shelve.open", path)
        return Shelf()

    shelve.open = shelve.DbfilenameShelf = opened
    sys.modules.pop("_pickle", None)


class Shelf(dict):
    def close(self):
        return None

    sync = close

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False


def _install_patterns(state, sources, sink):
    compile_real = re.compile

    def told(api, pattern, text=""):
        source = getattr(pattern, "pattern", pattern)
        given = state.pumping or state.tainted(text)
        if given or state.tainted(source):
            sink("pattern", api, source)
            if given:
                sink("match", api, source, also=text)

    def asked(pattern, text, found):
        """A pattern that outside data does not match asks for a text that does."""
        if found is None and sources.target is None:
            source = getattr(pattern, "pattern", pattern)
            for index in sorted(state.indexes(plain(text)))[:1]:
                if index < len(sources.names) and isinstance(source, str):
                    fit = fitting(source, sources.marker(index), str(NUMBER + index))
                    if fit:
                        sources.ask(sources.names[index], fit)
        return found

    def wrap(name):
        real = getattr(re, name)

        def call(pattern, *args, **keywords):
            text = (
                args[1]
                if name in ("sub", "subn") and len(args) > 1
                else args[0]
                if args
                else (keywords.get("string", ""))
            )
            if isinstance(text, Awaited):
                place = 1 if name in ("sub", "subn") else 0
                text = str(text)
                args = (*args[:place], text, *args[place + 1 :])
            told("re." + name, pattern, text)
            own = pattern.real if isinstance(pattern, Watched) else pattern
            return asked(own, text, real(own, *args, **keywords))

        return call

    class Watched:
        """A compiled pattern that tells what it is asked to match."""

        def __init__(self, real):
            self.real = real

        def __getattr__(self, name):
            attribute = getattr(self.real, name)
            if name not in RECORDED:
                return attribute

            def call(*args, **keywords):
                args = tuple(str(item) if isinstance(item, Awaited) else item for item in args)
                text = args[1:] if name in ("sub", "subn") else args[:1]
                text = text or keywords.get("string", "")
                told("re." + name, self.real.pattern, text)
                return asked(self.real, text, attribute(*args, **keywords))

            return call

        def __copy__(self):
            return self

        def __deepcopy__(self, memo):
            return self

        def __hash__(self):
            return hash(self.real)

        def __eq__(self, other):
            return self.real == getattr(other, "real", other)

    def compiled(pattern, flags=0):
        if isinstance(pattern, Watched):
            return pattern
        frame = frame_above(1)
        if frame.f_code.co_filename == SNIPPET:
            told("re.compile", pattern)
            return Watched(compile_real(pattern, flags))
        return compile_real(pattern, flags)

    for name in RECORDED:
        setattr(re, name, wrap(name))
    re.compile = compiled


def providers(unknown, sink):
    """Loaders and directories, by module name."""

    def loader(api):
        def provide(module):
            def load(data=b"", *_, **__):
                sink("object", api, body(data))
                return {"name": "value"}

            for name in ("loads", "load", "decode", "unpack", "unpackb", "read_pickle"):
                setattr(module, name, load)
            module.Unpickler = pickle.Unpickler
            module.dumps = module.dump = module.encode = lambda *_, **__: b"data"

        return provide

    def yaml(module):
        safe = ("SafeLoader", "CSafeLoader", "BaseLoader", "CBaseLoader")
        for name in (*safe, "Loader", "FullLoader", "UnsafeLoader", "CLoader", "CFullLoader"):
            setattr(module, name, type(name, (), {"add_constructor": classmethod(lambda *_: None)}))
        module.YAMLError = type("YAMLError", (Exception,), {})

        def load(stream, Loader=None, **_):
            names = {kind.__name__ for kind in getattr(Loader, "__mro__", ())}
            safe_one = bool(names & set(safe)) or bool(names & {"FullLoader", "CFullLoader"})
            sink("value" if safe_one else "object", "yaml.load", body(stream))
            return {"name": "value", "items": ["value"]}

        module.load = load
        module.load_all = lambda *args, **keywords: [load(*args, **keywords)]
        module.safe_load = module.full_load = lambda stream: load(stream, module.SafeLoader)
        module.safe_load_all = lambda stream: [load(stream, module.SafeLoader)]
        module.unsafe_load = lambda stream: load(stream, module.UnsafeLoader)
        module.dump = module.safe_dump = lambda *_, **__: "name: value\n"

    def pandas(module):
        module.read_pickle = lambda path, *_, **__: sink("object", "pandas.read_pickle", body(path))
        for name in ("read_sql", "read_sql_query"):
            setattr(module, name, lambda statement, *_, params=None, **__: (
                sink("sql", "pandas.read_sql", statement,
                also=params) or unknown("frame")))  # fmt: skip

    def torch(module):
        def load(path, *_, weights_only=None, **__):
            sink("value" if weights_only else "object", "torch.load", body(path))
            return unknown("model")

        module.load = load

    def ldap(module):
        class Connection:
            def __init__(self, *_, **__):
                self.entries, self.result, self.bound = [unknown("entry")], {}, True

            def search(self, base="", search_filter="", *args, **keywords):
                text = keywords.get("search_filter", search_filter)
                sink("ldap", "ldap.search", text)
                return True

            def search_s(self, base, scope=0, filterstr="(objectClass=*)", *_, **__):
                sink("ldap", "ldap.search_s", filterstr)
                return [("cn=alpha", {"uid": [b"alpha"]})]

            search_st = search_ext = search_ext_s = search_s

            def _nothing(self, *_, **__):
                return True

            bind = simple_bind_s = unbind = unbind_s = set_option = start_tls = _nothing
            simple_bind = bind_s = start_tls_s = _nothing

            def __enter__(self):
                return self

            def __exit__(self, *_):
                return False

        module.Connection = Connection
        module.initialize = module.open = Connection
        module.SCOPE_SUBTREE = module.SUBTREE = 2
        module.LDAPError = module.LDAPException = type("LDAPError", (Exception,), {})

    def ldap_escape(module):
        table = {"\\": r"\5c", "*": r"\2a", "(": r"\28", ")": r"\29", "\0": r"\00", "/": r"\2f"}
        module.escape_filter_chars = module.filter_escape = lambda text, *_: "".join(
            table.get(letter, letter) for letter in plain(text)
        )
        module.escape_dn_chars = module.escape_rdn = lambda text: re.sub(
            r'([,=+<>#;\\"])', r"\\\1", plain(text)
        )

    found = {name: loader(name) for name in ("dill", "cloudpickle", "jsonpickle", "joblib",
                                             "_pickle", "cPickle")}  # fmt: skip
    found.update({"yaml": yaml, "pandas": pandas, "torch": torch, "ldap": ldap, "ldap3": ldap,
                  "ldap.filter": ldap_escape, "ldap.dn": ldap_escape,
                  "ldap3.utils.conv": ldap_escape, "ldap3.utils.dn": ldap_escape})  # fmt: skip
    return found
