"""Data turned into objects: pickles, YAML, XML."""

from collections.abc import Callable, Mapping

from bluecode.defenses.checkers import python_scores as scores
from bluecode.defenses.checkers.python_injection import live, report, unexplained
from bluecode.defenses.checkers.python_state import Call, Run
from bluecode.defenses.checkers.python_values import Level, Value, is_constant

_SAFE_LOADERS = ("SafeLoader", "CSafeLoader", "BaseLoader", "CBaseLoader")
_FULL_LOADERS = ("FullLoader", "CFullLoader")
_ENTITIES = {Level.PARAMETER: 0.4, Level.REQUEST: 0.62, Level.STORED: 0.4, Level.INPUT: 0.4}


def _loaded(run: Run, call: Call) -> None:
    """Formats that name functions to call."""
    content = call.argument(0)
    if content is not None:
        report(run, call, "unsafe_deserialization", scores.OBJECTS, live(call, content, "data"))
    if unexplained(content) and content is not None and not content.name.endswith("dumps()"):
        run.claim("unsafe_deserialization", call.node, 0.5, Level.UNKNOWN)


def _yaml(run: Run, call: Call) -> None:
    loader = call.argument(1, "Loader")
    name = "" if loader is None else loader.name.rpartition(".")[2]
    if name in _SAFE_LOADERS or (loader is not None and name.lower().startswith("safe")):
        return
    content = call.argument(0, "stream")
    if content is None or is_constant(content):
        return
    tags = live(call, content, "data")
    if name in _FULL_LOADERS:
        report(run, call, "unsafe_deserialization", scores.ONLY_REQUESTS, tags)
        return
    surest = max((tag.level for tag in tags), default=Level.UNKNOWN)
    found = max(0.72, scores.OBJECTS[surest])
    run.claim("unsafe_deserialization", call.node, found, surest)


def _ruamel(run: Run, call: Call) -> None:
    kind = call.keyword("typ")
    if kind is not None and kind.literal == "unsafe":
        run.claim("unsafe_deserialization", call.node, 0.7)


def _torch(run: Run, call: Call) -> None:
    if _true(call.keyword("weights_only")):
        return
    tags = live(call, call.argument(0, "f"), "data")
    report(run, call, "unsafe_deserialization", {**scores.OBJECTS, Level.PARAMETER: 0.6}, tags)


def _numpy(run: Run, call: Call) -> None:
    if _true(call.keyword("allow_pickle")):
        found = {**scores.OBJECTS, Level.PARAMETER: 0.6}
        report(
            run, call, "unsafe_deserialization", found, live(call, call.argument(0, "file"), "data")
        )


def _true(value: Value | None) -> bool:
    return value is not None and value.const is True


def _xml_parser(run: Run, call: Call) -> None:
    """`lxml.etree.XMLParser` told to resolve what a document names."""
    for name in ("resolve_entities", "load_dtd", "dtd_validation", "huge_tree"):
        given = call.keyword(name)
        if _true(given) and name != "huge_tree":
            run.claim("xml_external_entity", call.node, 0.75, Level.UNKNOWN)
            return
    network = call.keyword("no_network")
    if network is not None and network.const is False:
        run.claim("xml_external_entity", call.node, 0.75, Level.UNKNOWN)


def _xml(run: Run, call: Call) -> None:
    """lxml with its default parser, where others wrote the document."""
    if call.argument(1, "parser") is not None:
        return
    tags = live(call, call.argument(0), "xml")
    found = max((_ENTITIES.get(tag.level, 0.0) for tag in tags), default=0.0)
    if found >= scores.WORTH_SAYING:
        run.claim("xml_external_entity", call.node, found, tags[0].level)


def _sax_feature(run: Run, call: Call) -> None:
    feature, value = call.argument(0), call.argument(1)
    name = "" if feature is None else feature.literal or feature.name
    external = "external" in name and ("entities" in name or "ges" in name or "pes" in name)
    if external and value is not None and value.const in (True, 1):
        run.claim("xml_external_entity", call.node, 0.8, Level.UNKNOWN)


Look = Callable[[Run, Call], None]

CALLS: Mapping[str, Look] = {
    **dict.fromkeys(
        "pickle.loads pickle.load pickle.Unpickler dill.loads dill.load cloudpickle.loads "
        "cloudpickle.load marshal.loads marshal.load jsonpickle.decode jsonpickle.loads "
        "shelve.open joblib.load pandas.read_pickle sklearn.externals.joblib.load "
        "jsonpickle.unpickler.decode pickle5.loads pickle5.load".split(),
        _loaded,
    ),
    **dict.fromkeys("yaml.load yaml.load_all".split(), _yaml),
    **dict.fromkeys("yaml.unsafe_load yaml.unsafe_load_all".split(), _loaded),
    "ruamel.yaml.YAML": _ruamel,
    "torch.load": _torch,
    "numpy.load": _numpy,
    **dict.fromkeys("lxml.etree.XMLParser etree.XMLParser".split(), _xml_parser),
    **dict.fromkeys(
        "lxml.etree.parse lxml.etree.fromstring lxml.etree.XML lxml.etree.iterparse".split(), _xml
    ),
}
METHODS: Mapping[str, Look] = {"setFeature": _sax_feature}
