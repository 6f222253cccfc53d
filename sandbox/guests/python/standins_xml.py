"""XML: documents are told with whether the parser would resolve entities, and paths as queries."""

import io
import re
import types
import xml.dom.minidom
import xml.etree.ElementTree
import xml.sax

from recording import plain


def body(value):
    """The bytes or text of what a loader was given: itself, or what a file holds."""
    read = getattr(value, "read", None)
    if read is None or isinstance(value, (str, bytes)):
        return value
    try:
        return read()
    except Exception:  # `read` is the snippet's and may raise anything
        return value


def install(sink):
    tree = xml.etree.ElementTree
    real_text, real_parse = tree.fromstring, tree.parse

    def told(api, text, resolves):
        content = plain(text)
        sink("xml", api, content, resolves=resolves)
        return content

    def fromstring(text, parser=None, **_):
        return real_text(without_doctype(told("ElementTree.fromstring", text, False)))

    def parse(source, parser=None):
        if isinstance(source, str):
            with io.open(source, "rb") as file:  # noqa: UP020 - the stand-in lives at io.open
                source = file.read()
        text = told("ElementTree.parse", body(source), False)
        try:
            return real_parse(io.StringIO(without_doctype(text)))
        except tree.ParseError:
            return real_parse(io.StringIO("<root><name>value</name></root>"))

    tree.fromstring = tree.XML = fromstring
    tree.parse = parse
    for name in ("find", "findall", "findtext", "iterfind"):
        setattr(tree.ElementTree, name, searched(sink, getattr(tree.ElementTree, name)))
    real_dom = xml.dom.minidom.parseString
    xml.dom.minidom.parseString = lambda text, *_: real_dom(
        without_doctype(told("minidom.parseString", text, False))
    )
    xml.dom.minidom.parse = lambda source, *_: real_dom(
        without_doctype(told("minidom.parse", body(source), False))
    )
    xml.sax.make_parser = lambda *_: SaxParser(sink)
    xml.sax.parseString = lambda text, *_, **__: told("sax.parseString", text, False) and None
    xml.sax.parse = lambda source, *_, **__: told("sax.parse", body(source), False) and None


def searched(sink, real):
    """A search of `ElementTree` by a path."""

    def search(self, path, *args, **keywords):
        sink("xpath", "ElementTree." + real.__name__, path)
        return real(self, path, *args, **keywords)

    return search


class SaxParser:
    """A SAX reader: resolves entities if that was asked for."""

    def __init__(self, sink):
        self._sink, self._resolves = sink, False

    def setFeature(self, name, state):
        if "external-general" in name:
            self._resolves = bool(state)

    def parse(self, source):
        self._sink("xml", "sax.parse", body(source), resolves=self._resolves)

    def _nothing(self, *_):
        return None

    setContentHandler = setErrorHandler = setProperty = setEntityResolver = _nothing
    setDTDHandler = feed = close = reset = _nothing


def without_doctype(text):
    """The document without what would need the network or the disk."""
    text = re.sub(r"<!DOCTYPE[^\[>]*(?:\[.*?\])?\s*>", "", text, flags=re.DOTALL)
    return re.sub(r"&(?!amp;|lt;|gt;|quot;|apos;|#)\w+;", "", text) or "<root/>"


class Node:
    """An XML node of `lxml`, at any place of any document."""

    text, tail, tag = "value", "", "root"

    def __init__(self, sink, resolves=False):
        self._sink = sink
        self.attrib = {}

    def _query(self, api):
        def query(path="", *_, **variables):
            self._sink("xpath", api, path, also=variables)
            return [Node(self._sink)]

        return query

    @property
    def xpath(self):
        return self._query("lxml.xpath")

    @property
    def findall(self):
        return self._query("lxml.findall")

    iterfind = findall

    def find(self, path="", *_, **__):
        return self._query("lxml.find")(path)[0]

    def findtext(self, path="", *_, **__):
        self.find(path)
        return "value"

    def getroot(self):
        return self

    getroottree = getparent = getnext = getroot

    def get(self, name, default=None):
        return "value"

    def iter(self, *_):
        return iter([self])

    iterchildren = getchildren = __iter__ = iter

    def __len__(self):
        return 1

    def __getitem__(self, at):
        return self

    def __bool__(self):
        return True

    def items(self):
        return [("name", "value")]

    def append(self, *_):
        return None

    remove = set = insert = clear = write = append


def lxml(sink):
    class Parser:
        def __init__(self, *_, resolve_entities="unset", no_network=True, load_dtd=False, **__):
            # Without the option it depends on the release: before 5.0 external entities counted.
            self.resolves = "unset" if resolve_entities == "unset" else resolve_entities is True

        set_element_class_lookup = close = feed = lambda self, *_: None

    def read(api, by_path):
        def parse(source, parser=None, *_, **__):
            if by_path and isinstance(source, str):
                with io.open(source, "rb") as file:  # noqa: UP020
                    source = file.read()
            resolves = getattr(parser, "resolves", "unset")
            sink("xml", api, body(source), resolves=resolves)
            return Node(sink)

        return parse

    def provide(module):
        module.XMLParser = Parser
        module.HTMLParser = lambda *_, **__: Parser(resolve_entities=False)
        module.fromstring = module.XML = read("lxml.fromstring", False)
        module.parse, module.iterparse = read("lxml.parse", True), read("lxml.iterparse", True)
        module.HTML = lambda text, *_: Node(sink)
        module.tostring = lambda *_, **__: b"<root/>"
        module.Element = module.SubElement = lambda *_, **__: Node(sink)
        module.XPath = lambda path, *_, **__: sink("xpath", "lxml.XPath", path) or Node(sink).xpath
        module.XSLT = lambda *_, **__: lambda *_, **__: Node(sink)
        module.XMLSyntaxError = module.ParseError = module.LxmlError = type(
            "Error", (ValueError,), {}
        )

    return provide


def safe_xml(module):
    def parse(source, *_, **__):
        text = plain(body(source))
        if "<!ENTITY" in text or "<!DOCTYPE" in text:
            raise ValueError("EntitiesForbidden")
        return xml.etree.ElementTree.fromstring(text)

    module.fromstring = module.XML = module.parseString = parse
    module.parse = lambda source, *_, **__: types.SimpleNamespace(getroot=lambda: parse(source))
    module.EntitiesForbidden = module.DefusedXmlException = module.DTDForbidden = ValueError


def providers(sink):
    """XML packages, by module name."""
    names = ("defusedxml", "defusedxml.ElementTree", "defusedxml.minidom", "defusedxml.lxml")
    return {"lxml.etree": lxml(sink), **dict.fromkeys(names, safe_xml)}
