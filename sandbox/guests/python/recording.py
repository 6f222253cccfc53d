"""What a run records: calls, sinks and doubts, told to the host as one JSON array each.

A sink is a place where data does something: a shell, a statement, a path, a page. The recorder also
remembers which sources reached which sink, so that the driver attacks only what can be reached.
Nothing here judges; `defenses/checkers/effects.py` on the host does.
"""

import json
import re
import sys

SNIPPET = "<snippet>"
MODULE = "__main__"
EVENTS = 1900
EVENT_BYTES = 2000
TEXT = 640
PER_CALL = 48
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

    def begin(self, token):
        self.token = token
        self.events = 0
        self.work = self.limit = 0
        self.handlers = []
        self.seen_handlers = set()
        self.entered = set()
        self.begin_call()

    def begin_call(self):
        self.hits = {}  # (source index, kind) -> text at the sink, in this call
        self.lines = {}  # line -> kinds reached there, in this call
        self.sinks = 0
        self.doubts = 0
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

    def handler(self, function, rule="", page=True):
        """A framework was given a function to call for requests."""
        key = getattr(function, "__code__", function)
        if callable(function) and id(key) not in self.seen_handlers:
            self.seen_handlers.add(id(key))
            self.handlers.append((function, rule if isinstance(rule, str) else "", page))


def plain(value, depth=3):
    """A text for any value; never fails, never large."""
    if type(value) is str:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value[:4096]).decode("latin-1")
    if isinstance(value, (list, tuple, set, frozenset)) and depth:
        return " ".join(plain(item, depth - 1) for item in list(value)[:20])
    if isinstance(value, dict) and depth:
        pairs = list(dict.items(value))[:20]
        return " ".join(f"{plain(key, 1)}={plain(item, depth - 1)}" for key, item in pairs)
    try:
        return str(value)
    except Exception:  # the object is the snippet's and may raise anything
        return "?"


def window(text, token):
    """At most TEXT characters, with the first marker inside."""
    if len(text) <= TEXT:
        return text
    at = text.lower().find(token)
    start = max(0, at - TEXT // 2)
    return text[start : start + TEXT]


def caller_line():
    """Line of the innermost frame that belongs to the snippet; 0 where there is none."""
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename == SNIPPET:
            return frame.f_lineno
        frame = frame.f_back
    return 0


def make_recorder(emit, state):
    """The two functions by which everything else speaks: `say` and `sink`.

    `emit` stays in this closure: no module has it as an attribute.
    """
    encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode

    def say(*event):
        if state.events >= EVENTS:
            return
        state.events += 1
        data = encode(event).encode()
        if len(data) > EVENT_BYTES:
            short = [item[:100] if isinstance(item, str) else item for item in event]
            data = encode([item if not isinstance(item, dict) else {} for item in short]).encode()
        emit(data)

    def sink(kind, api, value, also=None, line=None, **detail):
        text = plain(value)
        line = caller_line() if line is None else line
        state.lines.setdefault(line, set()).add(kind)
        visible = state.indexes(text)
        if also is not None:
            bound = plain(also)
            through = state.indexes(bound)
            if through or state.token in bound.lower():
                detail["bound"] = True
            visible = {*visible, *through}
        for index in visible:
            state.hits.setdefault((index, kind), text)
        state.sinks += 1
        if state.sinks <= PER_CALL and kind not in UNTOLD:
            short = {
                key: plain(item)[:200] if isinstance(item, str) else item
                for key, item in detail.items()
            }
            say("sink", kind, api, line, window(text, state.token), sorted(visible), short)

    return say, sink
