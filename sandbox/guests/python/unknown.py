"""The universal stand-in: any attribute, call or item of what the sandbox does not carry.

It says yes to everything, so that code gets past it; where data of a source was judged by such an
answer, that is told as a doubt, and the host then neither confirms nor refutes what comes after.
"""

import importlib
import importlib.machinery
import re
import sys
import types

from recording import Exhausted, Refusal, caller_line, frame_above, plain
from scopes import Awaited, unpacked
from standins_database import operators

SQL = re.compile(
    r"\s*(?:--.*\n\s*)*\(?\s*(?:select|insert|update|delete|replace|merge|with|create|drop|alter"
    r"|truncate|call|exec|grant|pragma|explain|show|use|set|copy|declare|begin|vacuum|attach)\b",
    re.IGNORECASE,
)
JUDGES = re.compile(
    r"valid|check|verif|sanit|clean|escape|quote|secur|safe|allow|permit|assert|ensure|guard|filter"
    r"|authori[sz]|restrict|forbid|strip|normali|encode|whitelist|require|confirm|reject|is_|has_|"
    r"match|parse|resolve|bleach|accept|legal|trust|within|inside",
    re.IGNORECASE,
)
STATEMENT = re.compile(
    r"\s*(?:select\s.+?\sfrom\s|insert\s+(?:ignore\s+)?into\s|update\s+\S+\s+set\s|delete\s+from\s"
    r"|replace\s+into\s|drop\s+table\s|alter\s+table\s)",
    re.IGNORECASE | re.DOTALL,
)
COMMANDS = re.compile(
    r"(?:^|_)(?:ssh|shell|system|popen|sudo|exec_command|run_command|runcommand|run_cmd|execute_command"
    r"|exec_cmd|run_cli|check_output|getoutput|shell_command)(?:$|_)",
    re.IGNORECASE,
)
QUIET = frozenset({"debug", "info", "warning", "warn", "error", "exception", "log", "critical",
                  "print",
                   "_", "gettext", "write", "append", "add"})  # fmt: skip
EXECUTORS = frozenset({"execute", "executemany", "executescript", "raw", "mogrify", "query",
                       "exec_driver_sql", "fetch", "fetchrow", "fetchval", "read_sql",
                       "read_sql_query", "scalar", "scalars", "select_all"})  # fmt: skip
FINDERS = frozenset({"find", "find_one", "find_one_and_update", "find_one_and_delete",
                     "find_one_and_replace", "update_one", "update_many", "delete_one",
                     "delete_many", "replace_one", "count_documents"})  # fmt: skip
SYMBOLS = re.compile(r"\W+")
EXCEPTIONS = re.compile(r"(?:Error|Exception|Warning|DoesNotExist|NotFound)$")
FORM_DATA = frozenset({"data", "cleaned_data", "validated_data"})
ROUTES = frozenset({"route", "get", "post", "put", "patch", "delete", "view", "websocket",
                   "api_view",
                    "require_http_methods", "message_handler", "callback_query_handler", "on_message",
                    "require_POST", "require_GET", "csrf_exempt", "expose",
                    "view_config", "endpoint"})  # fmt: skip
PATIENCE = 4
"""So many times in a row is the answer yes at the same place."""
WEIGHT = 20
"""What a call or a question costs of the work that a run may do, in loops of the snippet's own."""
OWN_MAKING = re.compile(
    r"escape|quote|sanit|clean|dumps|serial|render|format|digest|hash|encod|uuid|count|time|date"
    r"|version|status|size|number|length",
    re.IGNORECASE,
)
"""Names of what is not passed on as it came from outside."""
DIRECT = frozenset({"shell", "sql", "path", "url", "redirect", "code", "template", "ldap", "xpath"})
"""Kinds of sink that may also be behind a function that nobody here knows."""
DECORATED = (types.FunctionType, type, staticmethod, classmethod, property)
ENDINGS = frozenset({"abort", "HTTPException", "Http404", "HTTPError", "HTTPBadRequest"})


def make_unknown(state, sources, recorder, special):
    """The class of stand-ins, and the class that stands in where one is inherited from.

    `special` holds what an attribute of a certain name always is (`request`)."""

    sink = recorder.sink

    def at_claim(name, short, args):
        """A call that is claimed to be a sink, of something that nobody here knows: where a text
        that the snippet made goes in, it is taken for one."""
        quiet = short in QUIET and short not in ("add", "write")
        if JUDGES.search(short) or quiet or EXCEPTIONS.search(short):
            return
        kinds = [kind for kind in state.claimed(caller_line()) if kind in DIRECT]
        made = [item for item in args if isinstance(item, str) and state.made(item)]
        listed = [item for item in args if isinstance(item, (list, tuple)) and state.tainted(item)]
        for kind in kinds:
            if made:
                sink(kind, name, made[0], claimed=True)
            elif listed and kind == "shell":
                sink("argv", name, listed[0], claimed=True)

    def doubt(name, values):
        if any(state.tainted(value) for value in values):
            recorder.doubt(name, bool(JUDGES.search(name)))

    def yes(name, values, alike=False):
        """The answer to a question, which is yes so that code goes on; but not for ever, for a loop
        may wait for a no."""
        doubt(name, values)
        frame = frame_above(2)
        place = frame.f_code, frame.f_lasti
        count = state.answers[place] = state.answers.get(place, 0) + 1
        work(WEIGHT)
        answer = count <= PATIENCE or count % 2 == 0
        return answer != (state.contrary > 1 or (alike and state.contrary == 1))

    def work(weight):
        state.work += weight
        if state.work > state.limit:
            state.limit = state.work + 200
            raise Exhausted

    class Unknown(Awaited):
        def __init__(self, name, given=()):
            state.guessed = True
            self.__dict__["_n"] = name
            self.__dict__["_g"] = given

        def __getattr__(self, attribute):
            if attribute.startswith("__") and attribute.endswith("__"):
                raise AttributeError(attribute)
            value = special.get(attribute)
            if attribute in FORM_DATA:
                return special["form"](self._n, attribute)
            if value is None:
                value = Unknown(f"{self._n}.{attribute}", self._g)
            self.__dict__[attribute] = value
            return value

        def __call__(self, *args, **keywords):
            name = self._n
            short = name.rpartition(".")[2]
            if len(args) == 1 and not keywords and isinstance(args[0], DECORATED):
                if short.removesuffix("()") in ROUTES and not isinstance(args[0], type):
                    state.handler(args[0])
                return args[0]
            given = (*args, *keywords.values())
            work(WEIGHT)
            if given:
                told = self._look(short, args, keywords)
                if state.claims and not told:
                    at_claim(name, short, given)
            if JUDGES.search(short):
                doubt(name, given)
            if short in ENDINGS:
                raise Refusal(name)
            return Unknown(name + "()", tuple(item for item in given if state.tainted(item)))

        def _look(self, short, args, keywords):
            """Tell a sink that the name of the call and its arguments speak for; whether there was
            one."""
            first = args[0] if args else None
            at = next((at for at, item in enumerate(args[:3])
                       if isinstance(item, str) and STATEMENT.match(item)), None)  # fmt: skip
            if short in EXECUTORS and isinstance(first, str) and SQL.match(first):
                sink("sql", self._n, first, also=(args[1:], keywords))
            elif at is not None and short not in QUIET:
                sink("sql", self._n, args[at], also=(args[at + 1 :], keywords))
            elif COMMANDS.search(short) and isinstance(first, str) and " " in first:
                sink("shell", self._n, first)
            elif (COMMANDS.search(short) or short == "execute") and isinstance(
                first, (list, tuple)
            ):
                sink("argv", self._n, first)
            elif short == "execute" and isinstance(first, str):
                sink("argv", self._n, " ".join(plain(item) for item in args))
            elif short in ("search_s", "search_ext_s", "search_st"):
                sink("ldap", self._n, args[2] if len(args) > 2 else keywords.get("filterstr", ""))
            elif short in FINDERS and isinstance(first, dict):
                where = first.get("$where")
                if isinstance(where, str):
                    sink("sql", self._n, where)
                sink("nosql", self._n, plain(first), operators=operators(first))
            elif short == "xpath" or (short in ("find", "findall") and "[" in plain(first)):
                sink("xpath", self._n, first, also=keywords)
            else:
                return False
            return True

        def __getitem__(self, key):
            if isinstance(key, int) and key > 50:
                raise IndexError(key)
            part = "item" if state.tainted(key) or isinstance(key, Unknown) else plain(key)[:20]
            return Unknown(f"{self._n}_{part}", self._g)

        def keys(self):
            return [str(self)]

        def items(self):
            return [(str(self), self["name"])]

        def values(self, *_, **__):
            return [self["name"]]

        def __setitem__(self, key, value):
            pass

        def __delitem__(self, key):
            pass

        def __iter__(self):
            count = unpacked(frame_above(1), 1)
            return iter([Unknown(self._n + "_item", self._g) for _ in range(count)])

        def __next__(self):
            raise StopIteration

        def __len__(self):
            return 1

        def __bool__(self):
            return yes(self._n, self._g)

        def __contains__(self, item):
            return yes(self._n, (item,), alike=True)

        def __eq__(self, other):
            if isinstance(other, (str, bytes, int)):
                return yes(self._n, (other, *self._g), alike=True)
            return self is other

        def __ne__(self, other):
            return not self == other

        def __lt__(self, other):
            doubt(self._n, (other, *self._g))
            return False

        __gt__ = __lt__

        def __le__(self, other):
            doubt(self._n, (other, *self._g))
            return True

        __ge__ = __le__

        def __hash__(self):
            return hash(self._n)

        async def __aiter__(self):
            yield Unknown(self._n + "_item", self._g)

        def __str__(self):
            name = SYMBOLS.sub("", self._n.rpartition(".")[2]) or "value"
            if not sources.unknown or OWN_MAKING.search(name) or hasattr(str, name):
                state.spoken.add(name)
                return name
            return sources.text("u:" + name)

        __repr__ = __str__

        def __fspath__(self):
            return "/srv/" + str(self)

        def _combine(self, other):
            return Unknown(self._n, self._g)

        def __add__(self, other):
            return str(self) + other if isinstance(other, str) else self._combine(other)

        def __radd__(self, other):
            return other + str(self) if isinstance(other, str) else self._combine(other)

        __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _combine
        __mod__ = __rmod__ = __and__ = __or__ = __rand__ = __ror__ = __floordiv__ = _combine
        __pow__ = __xor__ = __matmul__ = __lshift__ = __rshift__ = _combine

        def __neg__(self):
            return self

        __invert__ = __pos__ = __abs__ = __neg__

        def __int__(self):
            return 1

        __index__ = __int__

        def __float__(self):
            return 1.0

        def __bytes__(self):
            return str(self).encode()

        def __format__(self, spec):
            return str(self)

        def __mro_entries__(self, bases):
            return (Base,)

        def __instancecheck__(self, instance):
            return True

        def __subclasscheck__(self, subclass):
            return False

    class Base:
        """What a snippet's class inherits where its base is unknown."""

        def __init__(self, *args, **keywords):
            for name, value in keywords.items():
                setattr(self, name, value)

        def __init_subclass__(cls, **_):
            pass

        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)
            value = special.get(name)
            if value is None:
                value = Unknown(name)
            self.__dict__[name] = value
            return value

        @classmethod
        def __class_getitem__(cls, item):
            return cls

    return Unknown, Base


class UnknownException(Exception):
    """What an unknown package's exception classes are, so that `except` clauses work."""


def make_finder(unknown, providers):
    """An importer for what is not here: a named stand-in, or a package of unknowns."""

    class Package(types.ModuleType):
        def __getattr__(self, name):
            if name.startswith("__") and name.endswith("__"):
                raise AttributeError(name)
            if EXCEPTIONS.search(name):
                value = type(name, (UnknownException,), {})
            elif f"{self.__name__}.{name}" in providers:
                value = importlib.import_module(f"{self.__name__}.{name}")
            else:
                value = unknown(f"{self.__name__}.{name}")
            setattr(self, name, value)
            return value

    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name.startswith("encodings."):
                return None  # an encoding that is not here is none
            return importlib.machinery.ModuleSpec(name, Finder, is_package=True)

        @staticmethod
        def create_module(spec):
            package = Package(spec.name)
            package.__path__ = []
            return package

        @staticmethod
        def exec_module(module):
            provide = providers.get(module.__name__)
            if provide is not None:
                provide(module)
            parent, _, name = module.__name__.rpartition(".")
            if parent and parent in sys.modules:
                setattr(sys.modules[parent], name, module)

    return Finder
