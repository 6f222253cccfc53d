"""Where outside data comes from: parameters, request fields, argv, input, the environment.

Each source of a call has a name and an index. In a benign call every source carries a marker of
its own (the run's token and a letter), so that a sink tells whose data it got. In an attack one
source carries the payload and the rest stay benign.
"""

import base64
import binascii
import functools
import re

from given import Given
from recording import NUMBER

LETTERS = 26
ALL = "*"


def named(*words):
    return re.compile(r"(?:^|_)(?:" + "|".join(words) + r")(?:$|_|\d)", re.IGNORECASE)


NUMERIC = named("n", "num", "number", "count", "size", "limit", "length", "width", "height", "age",
                "page", "port", "timeout", "offset", "year", "amount", "price", "quantity", "qty",
                "index", "retries", "seconds", "minutes", "days", "rounds", "total", "max", "min",
                "depth", "start", "end", "iterations", "bits", "x", "y")  # fmt: skip
SHAPES = (
    (named("next", "redirect", "return_to", "return_url", "goto", "continue", "redirect_url",
           "redirect_to", "next_url", "next_page"), "/{m}"),
    (re.compile(r"ur[li]s?$|link|href|endpoint|webhook|website|^target$", re.IGNORECASE),
     "https://example.com/{m}"),
    (named("e?mail", "mail_to", "recipient", "to_addr"), "{m}@example.com"),
    (named("expr", "expression", "formula", "equation", "calculation"), "{n}+1"),
    (re.compile(r"xml|soap", re.IGNORECASE), "<root><name>{m}</name></root>"),
    (re.compile(r"json", re.IGNORECASE), '{{"name": "{m}"}}'),
    (re.compile(r"yaml|yml", re.IGNORECASE), "name: {m}"),
    (named("date", "day", "birthday", "dob", "start_date", "end_date"), "2024-01-15"),
    (re.compile(r"uuid|guid", re.IGNORECASE), "00000000-0000-4000-8000-00000000{n}"),
    (named("domain", "hostname", "host", "fqdn"), "{m}.example.com"),
    (named("ip", "ip_address", "addr", "address", "ipaddr"), "192.0.2.7"),
    (named("phone", "mobile", "tel"), "555000{n}"),
    (re.compile(r"image|photo|avatar|picture|thumbnail", re.IGNORECASE), "{m}.png"),
    (re.compile(r"archive|zip", re.IGNORECASE), "{m}.zip"),
    (re.compile(r"tar(?:ball|_|$)", re.IGNORECASE), "{m}.tar"),
    (re.compile(r"file_?name|file_?path|^path$|^file$|document|attachment", re.IGNORECASE),
     "{m}.txt"),
    (named("template", "tpl"), "Hello {m}"),
)  # fmt: skip
ALTERNATIVES = (
    "{m}", "{n}", "https://example.com/{m}", "{m}@example.com", "{m}.txt", "BASE64", "HEX",
    '{{"name": "{m}"}}', "192.0.2.7", "HOSTED",
    "{m}={m}", "{m}:{m}", "{m},{m}", "{n:0>32}", "{n:0>40}", "{n:0>64}",
    "00000000-0000-4000-8000-00000000{n}", "{m}" * 12,
)  # fmt: skip
BASES = re.compile(
    r"(?:^|_)(?:base|root|dir|directory|folder|prefix|dest|destination|cwd|home|workdir|storage"
    r"|dirname|basedir|base_?path|dir_path|output_dir|upload_folder|allowed\w*)(?:$|_)",
    re.IGNORECASE,
)
HOST = re.compile(r"[\w-]+(?:\.[\w-]+)+")
ADDRESS = re.compile(r"ur[li]|link|next")
EXTENSION = re.compile(r"\.\w{1,5}")
HOSTS = re.compile(
    r"(?:^|_)(?:domain|host|hostname|server|origin|site|base|root|api_url|base_url|allowed\w*|trusted\w*"
    r"|endpoint|endpoint_url)(?:$|_)",
    re.IGNORECASE,
)


class Sources:
    """The values of the current call, by the name of the source."""

    def __init__(self, state):
        self.state = state
        self.constants = []
        self.names = []
        self.typed, self.ever_typed = set(), set()
        self.kinds, self.wanted = {}, {}
        self.fits, self.asked = {}, {}
        self.make = None  # by which the builder makes a value of a kind
        self.begin()
        state.given = lambda: self.given

    def forget(self):
        """A new entry point: its sources are others."""
        self.names = []
        self.typed, self.ever_typed = set(), set()
        self.kinds, self.wanted = {}, {}
        self.fits, self.asked = {}, {}

    def want(self, name, kind):
        """The code treated a text as something else."""
        self.wanted.setdefault(name, kind)

    def adopt(self):
        """Make the values that the code stumbled over what it took them for; whether any is new."""
        new = {name: kind for name, kind in self.wanted.items() if self.kinds.get(name) != kind}
        fits = {name: text for name, text in self.asked.items() if name not in self.fits}
        self.wanted, self.asked = {}, {}
        self.kinds.update(new)
        self.fits.update(fits)
        return bool(new or fits)

    def ask(self, name, text):
        """A guard asks for a text like this; the first one that it asks for is the one to give."""
        if self.target is None and name not in self.fits:
            self.asked.setdefault(name, text)

    def begin(self, target=None, payload="", variant=-1, fixed=None, kind="", unknown=False):
        """A call: benign if there is no target. `fixed` holds values that some sources keep;
        with `unknown`, data of unknown origin is a source, too."""
        self.unknown = unknown
        self.walked = ""  # the text that was taken letter by letter
        self.given = set()
        self.kind = kind
        self.target = target
        self.payload = payload
        self.variant = variant
        self.fixed = fixed or {}

    def index(self, name):
        """The index of a source; the same name has the same index within a run's entry point."""
        if name not in self.names:
            if len(self.names) >= LETTERS:
                return LETTERS - 1
            self.names.append(name)
        return self.names.index(name)

    def text(self, name):
        text = self.chosen(name)
        self.given.add(text)
        return text

    def value(self, name):
        """A text that answers as the code likes, or another object where it asked for one."""
        kind = self.kinds.get(name)
        if kind is None or kind == "digits":
            return Given(self.text(name), self, name)
        return self.make(name, kind)

    def chosen(self, name):
        index = self.index(name)
        if self.target is not None and self.target in (name, ALL):
            return self.payload
        if name in self.fits and name not in self.fixed and self.variant < 0:
            return self.fits[name]
        if name in self.fixed:
            return self.constant(self.fixed[name], name, self.marker(index))
        return self.benign(name.rsplit(":", 1)[-1], index)

    def attacked(self, name):
        return self.target is not None and self.target in (name, ALL)

    def number(self, name):
        return NUMBER + self.index(name)

    def marker(self, index):
        return self.state.token + chr(97 + index)

    def benign(self, name, index):
        marker, number = self.marker(index), NUMBER + index
        if self.kinds and name in self.digits():
            return str(number)
        shape = ALTERNATIVES[self.variant] if self.variant >= 0 else shape_of(name)
        if shape == "BASE64":
            return base64.b64encode(f"{marker}======".encode()).decode()
        if shape == "HEX":
            return binascii.hexlify(marker.encode()).decode()
        if shape == "HOSTED":
            return self.hosted(name, marker)
        return shape.format(m=marker, n=number)

    def digits(self):
        """Last parts of the names of texts that are taken for numbers."""
        return {name.rsplit(":", 1)[-1] for name, kind in self.kinds.items() if kind == "digits"}

    def hosted(self, name, marker):
        """An address on the host that another source names; that source keeps its usual value."""
        if HOSTS.search(name):
            return shape_of(name).format(m=marker, n=NUMBER)
        host = next((item for item in self.names if HOSTS.search(item.rpartition(":")[2])), None)
        if host is None:
            return f"https://example.org/{marker}"
        return f"https://{self.benign(host.rpartition(':')[2], self.index(host))}/{marker}"

    def constant(self, text, name, marker):
        """A text from the snippet itself: what an allow-list may let pass."""
        if HOST.fullmatch(text) and ADDRESS.search(name):
            return f"https://{text}/{marker}"
        if text.startswith(("http://", "https://")):
            return text.rstrip("/") + "/" + marker
        return marker + text if EXTENSION.fullmatch(text) else text


@functools.lru_cache(256)
def shape_of(name):
    for pattern, shape in SHAPES:
        if pattern.search(name):
            return shape
    return "{n}" if NUMERIC.search(name) else "{m}"
