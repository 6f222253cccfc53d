"""Orders in what tools bring: sentences that address a reader, and stand apart from what is around.

A text is cut into units: sentences, lines and cells. Each is described by its words and by facts
about it: is something to be said or done, is it a question, who is spoken of, does it share words
with the rest of the text, is it prose among rows or code, does it stand at an edge. Nothing here
judges; `order_weights.py` does. Reading is linear.
"""

import re
import struct
import tomllib
import zlib
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Array = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

BUCKETS = 2**14
"""Places for hashed words, pairs and openings."""
WORD_SCALE = 2.0
"""How readily the fit makes use of words beside facts."""
_TOKEN = re.compile(
    r"\n|[.!?\u2026\u0964\u061f;](?=[\s\"')\]]|$)|[\u3002\uff01\uff1f]|\"\s*[:,;]\s*\"?|[\"|\t]|://"
    r"|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
    r"|[^\W_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+(?:['\u2019][a-z]{1,2}\b)?"
    r"|[{}()\[\]=<>;\\_/,:$#@*&+-]"
)
_ENDS = frozenset(".!?\u2026\u0964\u061f;\n|\t\u3002\uff01\uff1f")
_QUESTION = frozenset("?\u061f\uff1f")
_CODE = frozenset("{}()[]=<>\\_/;$&+*")
_PREFIX = 5
"""Letters that two words share to count as the same topic."""
_STEM = 6
"""Letters of a word that are told apart."""
_LONGEST = 48
"""Terms of a unit; a longer stretch is cut."""
_SHORTEST = 2
"""Words; what is shorter is no order."""
_MOST_OPENING = 4
"""Words at the start of a unit in which its verb is looked for."""

# Classes beyond those of `orders.toml`, in the order of their bits.
_MARKS = ("word", "cjk", "number", "end", "question", "quote", "code_mark", "row_mark", "url")


@dataclass(frozen=True, slots=True)
class Words:
    """The word classes of `orders.toml`, and where each class's bit lies."""

    bits: dict[str, int]
    """Mask of each listed word."""
    index: dict[str, int]
    """The number of each class."""

    @classmethod
    def parse(cls, text: str) -> "Words":
        """Read classes of words in TOML."""
        bits: dict[str, int] = {}
        table = tomllib.loads(text)
        for number, phrases in enumerate(table.values()):
            for word in phrases.split():
                bits[word] = bits.get(word, 0) | 1 << number
        return cls(bits, {name: number for number, name in enumerate((*table, *_MARKS))})


@cache
def _words() -> Words:
    folder = resources.files("bluecode.defenses.detectors")
    return Words.parse(folder.joinpath("orders.toml").read_text("utf-8"))


@lru_cache(maxsize=2**15)
def _entry(token: str) -> bytes:
    """Hash of a token, hash of its topic (0: none), and the mask of its classes: 8 bytes each."""
    words = _words()
    bit = {name: 1 << number for name, number in words.index.items()}
    mask = words.bits.get(token, 0)
    topic = 0
    if token[0] == '"':
        mask |= bit["quote"] | (bit["end"] | bit["row_mark"] if len(token) > 1 else 0)
    elif token in _ENDS:
        mask |= bit["end"] | (bit["row_mark"] if token in "|\t" else 0)
        mask |= bit["question"] if token in _QUESTION else 0
        mask |= bit["code_mark"] if token == ";" else 0
    elif token == "://":
        mask |= bit["url"]
    elif token in _CODE:
        mask |= bit["code_mark"]
    elif token == ",":
        mask |= bit["row_mark"]
    elif token[0].isdigit():
        mask |= bit["number"]
    elif token[0].isalpha():
        far = token[0] >= "\u3040"
        mask |= bit["word"] | (bit["cjk"] if far else 0)
        if (len(token) > 3 or far) and not mask & bit["small"]:
            topic = _hash(token[:_PREFIX])
    return _ENTRY.pack(_hash(token[:_STEM] if mask & bit["word"] else token), topic, mask)


_ENTRY = struct.Struct("=QQQ")


def _columns(text: str) -> Hashes:
    """Every token of a text as a row: its hash, its topic, its classes."""
    found = [token if len(token) <= 40 else token[:40] for token in _TOKEN.findall(text.lower())]
    return np.frombuffer(b"".join(map(_entry, found)), np.uint64).reshape(-1, 3)


def _hash(token: str) -> int:
    data = token.encode("utf-8", "surrogatepass")
    return zlib.crc32(data) | zlib.crc32(data, 0x9E3779B9) << 32


_COLON = np.uint64(_hash(":"))
_TAGS = np.array([_hash(mark) for mark in "<[#|"], np.uint64)


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """The units of a text: spans of tokens, buckets of their words, and facts about them."""

    starts: Array
    """Token at which each unit begins."""
    ends: Array
    lines: Array
    """Line, from 1, on which each unit begins."""
    buckets: Array
    owners: Array
    """The unit to which each bucket belongs, ascending by kind of bucket."""
    scales: Floats
    """For each unit, what each of its buckets counts."""
    facts: Floats
    """A row a unit."""
    relief: Floats
    """For each unit, how much of it the task speaks of: 0 to 1."""

    @property
    def count(self) -> int:
        return len(self.starts)


_WANTED = (
    "say ask act deny answer model user you me polite manner genre code secret question quote url"
    " number code_mark row_mark cjk about demand verdict join"
).split()
_PAIRS = (
    "say:genre say:manner say:answer say:user say:you say:me say:question say:quote say:verdict"
    " say:url say:model act:answer act:code act:secret act:user act:url act:you act:model"
    " answer:manner answer:deny answer:code answer:url deny:model deny:you deny:say deny:act"
    " deny:user model:secret model:you polite:say polite:act ask:question ask:you ask:me"
    " user:secret you:code about:deny about:say about:act about:model about:quote quote:deny"
    " demand:say demand:act demand:answer demand:model demand:user verdict:model verdict:answer"
    " verdict:demand verdict:quote join:code join:you join:answer"
).split()
_LEFT, _RIGHT = (
    np.array([_WANTED.index(pair.split(":")[side]) for pair in _PAIRS]) for side in (0, 1)
)


def read(text: str, task: str = "") -> Reading:
    """Cut a text into units and describe each. Any text can be read; an empty one has no units."""
    columns = _columns(text)
    hashes, topics = columns[:, 0], columns[:, 1]
    masks = columns[:, 2].astype(np.int64)
    index = _words().index
    has = (masks[:, np.newaxis] >> np.arange(len(index))) & 1
    starts, ends = _units(has, index)
    newline = _hash("\n")
    lines = 1 + np.concatenate(([0], np.cumsum(hashes == np.uint64(newline))))[starts]
    buckets, owners, scales = _buckets(hashes, has[:, index["word"]], starts, ends)
    return Reading(
        starts=starts,
        ends=ends,
        lines=lines.astype(np.int64),
        buckets=buckets,
        owners=owners,
        scales=scales,
        facts=_facts(has, index, hashes, topics, starts, ends),
        relief=_relief(topics, starts, ends, task),
    )


def _units(has: Array, index: dict[str, int]) -> tuple[Array, Array]:
    """First token of each unit, and the one after its last: at least two words between ends."""
    length = len(has)
    cuts = np.flatnonzero(has[:, index["end"]]) + 1
    edges = np.concatenate(([0], cuts, [length] if not len(cuts) or cuts[-1] < length else []))
    edges = edges.astype(np.int64)
    far = np.flatnonzero(np.diff(edges) > _LONGEST)
    if len(far):
        extra = [np.arange(edges[at] + _LONGEST, edges[at + 1], _LONGEST) for at in far]
        edges = np.sort(np.concatenate((edges, *extra)))
    starts, ends = edges[:-1], edges[1:]
    words = np.concatenate(([0], np.cumsum(has[:, index["word"]])))
    kept = words[ends] - words[starts] >= _SHORTEST
    return starts[kept].astype(np.int64), ends[kept].astype(np.int64)


def _spread(starts: Array, ends: Array) -> tuple[Array, Array]:
    """Every token of every unit, and the unit that it belongs to."""
    lengths = ends - starts
    owners = np.repeat(np.arange(len(starts)), lengths)
    offset = np.repeat(starts - np.concatenate(([0], np.cumsum(lengths)[:-1])), lengths)
    return (np.arange(int(lengths.sum())) + offset).astype(np.int64), owners.astype(np.int64)


def _buckets(
    hashes: Hashes, word: Array, starts: Array, ends: Array
) -> tuple[Array, Array, Floats]:
    """Words, pairs and openings of each unit as places in the table of weights."""
    if not len(starts):
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)
    places, owners = _spread(starts, ends)
    owners, places = owners[word[places] > 0], places[word[places] > 0]
    single = hashes[places]
    paired = np.flatnonzero(owners[1:] == owners[:-1])
    pairs = single[paired] * np.uint64(31) + single[paired + 1] * np.uint64(7)
    first, second = _openings(word, starts, ends)
    opening = hashes[first] * np.uint64(131)
    double = opening + hashes[second] * np.uint64(17)
    joined = np.concatenate((single, pairs, opening, double))
    every = np.arange(len(starts))
    owner = np.concatenate((owners, owners[paired], every, every))
    mixed = (joined ^ (joined >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15)
    number = np.bincount(owner, minlength=len(starts))
    scales = (WORD_SCALE / np.sqrt(number)).astype(np.float32)
    return (mixed >> np.uint64(50)).astype(np.int64), owner, scales


def _openings(word: Array, starts: Array, ends: Array) -> tuple[Array, Array]:
    """The first and second word of each unit."""
    at = np.flatnonzero(word)
    first = np.searchsorted(at, starts)
    return at[first], at[np.minimum(first + 1, len(at) - 1)]


def _facts(
    has: Array, index: dict[str, int], hashes: Hashes, topics: Hashes, starts: Array, ends: Array
) -> Floats:
    """What is known of each unit besides its words; one row each."""
    count = len(starts)
    if not count:
        return np.zeros((0, FACTS), np.float32)
    sums = np.concatenate((np.zeros((1, has.shape[1]), np.int64), np.cumsum(has, axis=0)))
    inside = sums[ends] - sums[starts]
    wanted = [index[name] for name in _WANTED]
    present = (inside[:, wanted] > 0).astype(np.float32)
    at = {name: present[:, number] for number, name in enumerate(_WANTED)}
    pairs = present[:, _LEFT] * present[:, _RIGHT]
    opening = _opening_classes(has, index, starts, ends)
    words = np.maximum(inside[:, index["word"]], 1)
    marks = inside[:, index["code_mark"]] + inside[:, index["row_mark"]]
    prose = (marks * 4 < words).astype(np.float32)
    fresh, spoken = _novelty(topics, starts, ends)
    around = _surroundings(has, index, at, opening, prose)
    place = np.arange(count)
    edge = ((place == 0) | (place == count - 1)).astype(np.float32)
    next_code = np.append(1 - prose[1:], 0).astype(np.float32)
    verb = np.maximum(np.maximum(opening[:, 0], opening[:, 2]), opening[:, 3])
    asked = opening[:, 1] * at["question"]
    calm = 1 - around["orders"]
    label, tag, follows = _borrowed(has, index, hashes, starts, ends)
    wants = np.maximum(np.maximum(at["say"], at["act"]), np.maximum(at["deny"], at["answer"]))
    lone = 1 - np.minimum((label.sum() - label) * 6 / max(count - 1, 1), 1)
    leads = (hashes[ends - 1] == _COLON) | (hashes[np.maximum(ends - 2, 0)] == _COLON)
    leads = (leads * next_code).astype(np.float32)
    plain = np.stack(
        [
            np.log(words) / 3,
            prose,
            fresh,
            fresh * np.minimum(spoken, 4) / 4,
            edge,
            next_code,
            next_code * at["code"],
            next_code * at["code"] * at["answer"],
            np.full(count, np.log(count) / 4),
            around["rows"] * prose,
            around["code"] * prose,
            around["orders"],
            around["questions"],
            around["rows"] * prose * verb,
            around["rows"] * prose * asked,
            around["code"] * prose * verb,
            around["code"] * prose * asked,
            opening[:, 0] * fresh,
            opening[:, 0] * calm,
            opening[:, 0] * fresh * calm,
            opening[:, 2] * fresh,
            opening[:, 2] * calm,
            asked * fresh,
            asked * (1 - around["questions"]),
            asked * fresh * (1 - around["questions"]),
            verb * edge * fresh,
            asked * edge * fresh,
            around["cjk"] * (1 - at["cjk"]),
            (1 - around["cjk"]) * at["cjk"],
            (1 - around["you"]) * at["you"],
            (1 - around["you"]) * verb,
            fresh * at["answer"],
            fresh * at["model"],
            leads,
            leads * opening[:, len(_OPENERS) + 2],
            leads * at["answer"],
            leads * at["you"],
            leads * at["code"] * at["answer"],
            around["about"],
            around["about"] * at["deny"],
            around["about"] * verb,
            around["about"] * at["model"],
            leads * at["you"] * at["code"],
            leads * at["code"] * np.maximum(verb, wants),
            leads * at["join"],
            leads * at["join"] * at["code"] * at["you"],
            label * lone,
            label * wants,
            label * wants * lone,
            tag,
            tag * wants,
            tag * at["demand"],
            follows * lone,
            follows * lone * wants,
            follows * at["question"],
        ],
        axis=1,
    )
    facts: Floats = np.concatenate((present, pairs, opening, plain), axis=1, dtype=np.float32)
    return facts


_OPENERS = ("say", "ask", "act", "deny", "polite", "model", "me", "you")
_PLAIN = 55
FACTS = len(_WANTED) + len(_PAIRS) + 2 * len(_OPENERS) + _PLAIN
"""Columns of `Reading.facts`."""


def _opening_classes(has: Array, index: dict[str, int], starts: Array, ends: Array) -> Floats:
    """Classes of the first word of each unit, then of its first four."""
    columns = [index[name] for name in _OPENERS]
    at = np.flatnonzero(has[:, index["word"]])
    first = np.searchsorted(at, starts)
    classes = has[:, columns]
    near = [
        classes[at[np.minimum(first + step, len(at) - 1)]]
        * (at[np.minimum(first + step, len(at) - 1)] < ends)[:, np.newaxis]
        for step in range(_MOST_OPENING)
    ]
    joined: Floats = np.concatenate((near[0], np.maximum.reduce(near)), axis=1, dtype=np.float32)
    return joined


def _borrowed(
    has: Array, index: dict[str, int], hashes: Hashes, starts: Array, ends: Array
) -> tuple[Floats, Floats, Floats]:
    """Which units borrow a voice: by a label (`User:`), by a tag (`<system>`, `[INST]`); and which
    follow a unit that does."""
    role = has[:, index["role"]] > 0
    before, after = np.roll(hashes, 1), np.roll(hashes, -1)
    labelled = role & (after == _COLON)
    tagged = role & np.isin(before, _TAGS)
    label, tag = (_within(mark, starts, ends) for mark in (labelled & ~tagged, tagged))
    either = np.maximum(label, tag)
    return label, tag, np.concatenate(([0], either[:-1])).astype(np.float32)


def _within(mark: npt.NDArray[np.bool_], starts: Array, ends: Array) -> Floats:
    """For each unit, whether one of its tokens is marked."""
    sums = np.concatenate(([0], np.cumsum(mark)))
    return (sums[ends] > sums[starts]).astype(np.float32)


def _novelty(topics: Hashes, starts: Array, ends: Array) -> tuple[Floats, Floats]:
    """For each unit, the share of its topics that the other units lack, and their number."""
    places, owners = _spread(starts, ends)
    topic = topics[places]
    owners, topic = owners[topic > 0], topic[topic > 0]
    _, which = np.unique(topic, return_inverse=True)
    key = np.unique(which.astype(np.int64) * len(starts) + owners)
    unit, word = key % len(starts), key // len(starts)
    alone = np.bincount(word)[word] == 1
    number = np.bincount(unit, minlength=len(starts))
    lone = np.bincount(unit[alone], minlength=len(starts))
    share = np.where(len(starts) > 1, lone / np.maximum(number, 1), 0.5)
    return share.astype(np.float32), number.astype(np.float32)


def _surroundings(
    has: Array, index: dict[str, int], at: dict[str, Floats], opening: Floats, prose: Floats
) -> dict[str, Floats]:
    """For each unit, what share of the others has rows, code, orders, questions, an address."""
    count = len(prose)
    words = max(int(has[:, index["word"]].sum()), 1)
    rows = min(float(has[:, index["row_mark"]].sum()) * 3 / words, 1.0)
    code = min(float(has[:, index["code_mark"]].sum()) * 2 / words, 1.0)
    verb = np.maximum(np.maximum(opening[:, 0], opening[:, 2]), opening[:, 3])
    others = max(count - 1, 1)
    return {
        "rows": np.full(count, rows, np.float32),
        "code": np.full(count, code, np.float32),
        "orders": (verb.sum() - verb) / others,
        "questions": (at["question"].sum() - at["question"]) / others,
        "cjk": (at["cjk"].sum() - at["cjk"]) / others,
        "you": (at["you"].sum() - at["you"]) / others,
        "about": np.minimum((at["about"].sum() - at["about"]) / others * 2, 1),
    }


def _relief(topics: Hashes, starts: Array, ends: Array, task: str) -> Floats:
    """For each unit, the share of its topics that the user's task names too."""
    if not task or not len(starts):
        return np.zeros(len(starts), np.float32)
    asked = _columns(task)[:, 1]
    places, owners = _spread(starts, ends)
    topic = topics[places]
    owners, topic = owners[topic > 0], topic[topic > 0]
    known = np.bincount(owners[np.isin(topic, asked)], minlength=len(starts))
    number = np.bincount(owners, minlength=len(starts))
    share: Floats = (known / np.maximum(number, 1)).astype(np.float32)
    return share
