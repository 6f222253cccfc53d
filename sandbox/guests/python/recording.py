"""What a run records: calls, sinks and doubts, told to the host as one JSON array each.

A sink is a place where data does something: a shell, a statement, a path, a page. The recorder also
remembers which sources reached which sink, so that the driver attacks only what can be reached.
Nothing here judges; `defenses/checkers/effects.py` on the host does.
"""

import json
import re
import types
from sys import _getframe as frame_above  # the snippet may replace the one in `sys`

SNIPPET = "<snippet>"
MODULE = "__main__"
EVENTS = 1900
EVENT_BYTES = 2000
TEXT = 640
PER_CALL = 48
DEPTH, ITEMS = 8, 200  # of a nested value, so many levels and items become text
NUMBER = 4700  # numeric markers are NUMBER + index of the source


NUMBERS = re.compile(r"47(\d\d)(?!\d)")


UNTOLD = frozenset({"value", "orm", "look", "template_name"})
"""Sinks that do no harm: noted here, of no interest to the host."""


class Exhausted(BaseException):
    """A call used up its share of work; raised into the snippet."""


class Refusal(Exception):
    """A framework's own way to turn a request away (`abort`, `HTTPException`, `Http404`)."""


class State:
    """One run. The stand-ins hold the same object before and after the snapshot."""

    def __init__(self):
        self.begin("canary")
        # Unknown things are equal to nothing, and no file is there (1), or they are false (2).
        self.contrary = 0
        self.given = set  # what the sources gave in this call

    def begin(self, token):
        self.token = token
        self.work = self.limit = 0
        self.handlers = []
        self.seen_handlers = set()
        self.entered = set()
        self.separators = []
        self.literals = ""  # the snippet's own texts
        self.muted = False  # some function was called too often to be looked at
        self.guesses = False  # the text of something unknown got to a sink
        self.guessed = False  # something unknown took part
        self.claims = ()  # what the host was told by static checkers
        self.begin_call()

    def begin_call(self):
        self.hits = {}  # (source index, kind) -> text at the sink, in this call
        self.spoken = set()  # names that stood for the texts of unknown things, in this call
        self.answers = {}  # place in the code -> how often something unknown said yes there
        self.starts = {}  # code -> how often it was called, in this call
        self.lines = {}  # line -> kinds reached there, in this call
        self.vouched = False  # a secret was asked for, and a benign caller is taken to know it
        self.pumping = False  # a text made for a pattern is on its way

    def indexes(self, text):
        """Which sources are visible in a text."""
        found = set()
        if "47" in text:
            found.update(int(number[1]) for number in NUMBERS.finditer(text))
        pieces = text.lower().split(self.token)
        found.update(ord(piece[0]) - 97 for piece in pieces[1:] if "a" <= piece[:1] <= "z")
        return found

    def tainted(self, value):
        text = plain(value)
        return self.token in text.lower() or bool(self.indexes(text))

    def made(self, text):
        """Did the snippet put outside data into this text, rather than pass it on as it was?"""
        return self.tainted(text) and not any(text == item for item in self.given())

    def claimed(self, line):
        """Kinds of sink that are claimed to be at a line."""
        return [
            kind
            for claim in self.claims
            if claim["first"] <= line <= claim["last"]
            for kind in claim["kinds"]
        ]

    def handler(self, function, rule="", page=True, checks=False):
        """A framework was given a function to call for requests."""
        key = getattr(function, "__code__", function)
        if callable(function) and id(key) not in self.seen_handlers:
            self.seen_handlers.add(id(key))
            self.handlers.append((function, rule if isinstance(rule, str) else "", page, checks))


def plain(value):
    """A text for any value; never fails, never large."""
    return spelled(value, DEPTH, [ITEMS])


def spelled(value, depth, left):
    """The text of a value; of what is nested, as many items as are left in the list's one number."""
    if type(value) is str:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value[:4096]).decode("latin-1")
    if isinstance(value, (list, tuple, set, frozenset)):
        return " ".join(spelled(item, depth - 1, left) for item in some(value, depth, left))
    if isinstance(value, dict):
        pairs = some(dict.items(value), depth, left)
        return " ".join(
            f"{spelled(key, 1, left)}={spelled(item, depth - 1, left)}" for key, item in pairs
        )
    try:
        return str(value)
    except Exception:  # the object is the snippet's and may raise anything
        return "?"


def some(items, depth, left):
    """The first few items, while there is depth and number left."""
    if depth <= 0:
        return
    try:
        for item, _ in zip(items, range(20)):  # noqa: B905 - the shorter one ends it
            if left[0] <= 0:
                return
            left[0] -= 1
            yield item
    except Exception:  # so may the iteration of its own kind of list
        return


def window(text, token):
    """At most TEXT characters, with the first marker inside."""
    if len(text) <= TEXT:
        return text
    at = text.lower().find(token)
    start = max(0, at - TEXT // 2)
    return text[start : start + TEXT]


def caller_line():
    """Line of the innermost frame that belongs to the snippet; 0 where there is none."""
    frame = frame_above(2)
    while frame is not None:
        if frame.f_code.co_filename == SNIPPET:
            return frame.f_lineno
        frame = frame.f_back
    return 0


def encoder():
    """JSON by the library's C code alone: none of its Python classes, which a snippet can change."""

    def refuse(value):
        raise TypeError(type(value).__name__)

    code = json.encoder
    chunks = code.c_make_encoder(
        None, refuse, code.c_encode_basestring_ascii, None, ":", ",", False, False, True
    )
    return lambda event: "".join(chunks(event, 0)).encode()


def make_recorder(emit, state):
    """The functions by which everything else speaks: `say`, `sink`, `doubt`, and `begin`, `call`
    and `end` for a run and each of its calls.

    `emit` and the counts stay in this closure: no module and no object has them as an attribute.
    """
    encode = encoder()
    told = doubts = 0
    sinks = [0, 0]  # of this call: without and with data of a source

    def begin():
        nonlocal told
        told = 0

    def say(*event):
        nonlocal told
        if told >= EVENTS:
            return
        told += 1
        data = encode(event)
        if len(data) > EVENT_BYTES:
            short = [item[:100] if isinstance(item, str) else item for item in event]
            data = encode([item if not isinstance(item, dict) else {} for item in short])
        emit(data)

    def call(*event):
        nonlocal doubts
        doubts = 0
        sinks[:] = 0, 0
        say("call", *event)

    def end(*event):
        say("end", *event, doubts)

    def doubt(name, hard=True):
        nonlocal doubts
        doubts += 1
        say("doubt", name, hard)

    def told_enough(marked):
        """A loop's many sinks are told in part; if the part left out may matter, that is a doubt."""
        nonlocal doubts
        sinks[marked] += 1
        if marked and sinks[marked] > PER_CALL:
            doubts += 1
        return sinks[marked] > PER_CALL

    def sink(kind, api, value, also=None, line=None, **detail):
        text = plain(value)
        line = caller_line() if line is None else line
        state.lines.setdefault(line, set()).add(kind)
        visible = state.indexes(text)
        marked = bool(visible) or state.token in text.lower()
        if also is not None:
            bound = plain(also)
            through = state.indexes(bound)
            if through or state.token in bound.lower():
                detail["bound"] = marked = True
            visible = {*visible, *through}
        for index in visible:
            state.hits.setdefault((index, kind), text)
        if kind in UNTOLD or told_enough(marked):
            return
        if state.vouched:
            detail["vouched"] = True
        if any(name in text and name not in state.literals for name in state.spoken):
            detail["guessed"] = state.guesses = True
        short = {
            key: plain(item)[:200] if isinstance(item, str) else item
            for key, item in detail.items()
        }
        say("sink", kind, api, line, window(text, state.token), sorted(visible), short)

    return types.SimpleNamespace(
        say=say, sink=sink, doubt=doubt, begin=begin, call=call, end=end
    )
