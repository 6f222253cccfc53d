"""What is worth a look and no more: found when asked for, never a warning."""

import textwrap
from collections.abc import Sequence

import pytest

from bluecode.defenses.checkers.python import find
from bluecode.defenses.checkers.python_remarks import CALLS
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Action, Finding


def findings(code: str) -> Sequence[Finding]:
    return find(Snippet(code=textwrap.dedent(code), language="python", origin="fence"))


REMARKED = {
    "assertion": ("assertion_check", "def pay(total):\n    assert total > 0\n"),
    "bare except": ("ignored_error", "try:\n    go()\nexcept:\n    pass\n"),
    "any error": (
        "ignored_error",
        "for x in y:\n    try:\n        go(x)\n    except Exception:\n        continue\n",
    ),
    "all addresses": ("open_binding", 'server.bind(("0.0.0.0", 80))'),
    "no address": ("open_binding", 'sock.bind(("", 80))'),
    "host keyword": ("open_binding", 'app.run(host="0.0.0.0")'),
    "own pickle": (
        "unsafe_deserialization",
        "import pickle\nx = pickle.loads(pickle.dumps(1))",
    ),
    "shelf": ("unsafe_deserialization", 'import shelve\nshelve.open("cache")'),
    "model": ("unsafe_deserialization", 'import torch\ntorch.load("model.pt")'),
    "arrays": (
        "unsafe_deserialization",
        'import numpy as np\nnp.load("a.npy", allow_pickle=True)',
    ),
    "yaml of its own": (
        "unsafe_deserialization",
        'import yaml\nyaml.load("a: 1", Loader=yaml.Loader)',
    ),
    "evaluated constant": ("code_injection", 'eval("1 + 1")'),
    "list of arguments": ("process_started", 'import subprocess\nsubprocess.run(["ls", "-l"])'),
    "shell": ("process_started", 'import os\nos.system("ls")'),
    "replaced": ("process_started", 'import os\nos.execv("/bin/ls", ["ls"])'),
    "wildcard": ("wildcard_command", 'import os\nos.system("tar czf all.tgz *")'),
    "wildcard in a list": (
        "wildcard_command",
        'import subprocess\nsubprocess.run(["/bin/chown", "me", "*"])',
    ),
    "module by name": ("dynamic_import", '__import__("json")'),
    "dice": ("ordinary_random", "import random\nprint(random.randint(1, 6))"),
    "no timeout": ("no_timeout", 'import requests\nrequests.get("https://example.org")'),
    "timeout off": (
        "no_timeout",
        'import httpx\nhttpx.get("https://example.org", timeout=None)',
    ),
    "local scheme": (
        "open_scheme",
        'import urllib.request\nurllib.request.urlopen("file:///etc/hosts")',
    ),
    "unknown scheme": (
        "open_scheme",
        "from urllib.request import urlopen\nurlopen(settings.address)",
    ),
    "old opener": ("open_scheme", "import urllib.request\nurllib.request.FancyURLopener()"),
    "element tree": (
        "xml_expansion",
        'import xml.etree.ElementTree as ET\nET.parse("notes.xml")',
    ),
    "minidom": ("xml_expansion", "from xml.dom import minidom\nminidom.parseString('<a/>')"),
    "cgi": (
        "cgi_proxy",
        "import wsgiref.handlers\nwsgiref.handlers.CGIHandler().run(application)",
    ),
    "own markup": ("xss", 'from markupsafe import Markup\nMarkup("<b>done</b>")'),
    "mako": ("autoescape_off", 'from mako.template import Template\nTemplate("hello")'),
    "extra": ("sql_injection", 'Book.objects.extra(where=["price > 10"])'),
    "model hub": (
        "unpinned_download",
        'from transformers import AutoModel\nAutoModel.from_pretrained("org/model")',
    ),
    "branch of the hub": (
        "unpinned_download",
        'from huggingface_hub import snapshot_download\nsnapshot_download("a/b", revision="main")',
    ),
}

LEFT_ALONE = {
    "assertions of tests": "import pytest\ndef test_sum():\n    assert add(1, 2) == 3\n",
    "error that is expected": "try:\n    go()\nexcept KeyError:\n    pass\n",
    "error that is logged": "try:\n    go()\nexcept Exception:\n    log.exception('failed')\n",
    "own address": 'server.bind(("127.0.0.1", 80))\napp.run(host="localhost")',
    "weights only": 'import torch\ntorch.load("model.pt", weights_only=True)',
    "arrays without objects": 'import numpy as np\nnp.load("a.npy")',
    "safe yaml": 'import yaml\nyaml.safe_load("a: 1")\nyaml.load("a", Loader=yaml.SafeLoader)',
    "literal": "import ast\nast.literal_eval('[1]')",
    "system random": "import secrets\nsecrets.randbelow(6)",
    "timeout": 'import requests\nrequests.get("https://example.org", timeout=5)',
    "httpx waits five seconds": 'import httpx\nhttpx.get("https://example.org")',
    "web address": 'import urllib.request\nurllib.request.urlopen("https://example.org")',
    "defused": 'import defusedxml.ElementTree as ET\nET.parse("notes.xml")',
    "pinned": 'from transformers import AutoModel\nAutoModel.from_pretrained("a/b", '
    'revision="0f3a9c1d2b")',
    "local model": 'from transformers import AutoModel\nAutoModel.from_pretrained("./model")',
    "method of another kind": "tree.bind(node, 3)\nrandom()\n",
}


@pytest.mark.parametrize(("rule", "code"), REMARKED.values(), ids=REMARKED)
def test_it_is_found_and_is_no_warning(rule: str, code: str) -> None:
    found = {finding.rule: finding for finding in findings(code)}

    assert f"python.{rule}" in found
    assert Policy.default().action_for(found[f"python.{rule}"]) is Action.ALLOW


@pytest.mark.parametrize("code", LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_the_careful_way_is_no_matter_for_a_remark(code: str) -> None:
    assert findings(code) == ()


def test_a_kind_of_remark_is_made_once_however_often_it_applies() -> None:
    code = "import random\n" + "print(random.random())\n" * 50

    assert [finding.span for finding in findings(code)] == [(2, 2)]


def test_a_claim_makes_the_remark_of_its_line_and_of_its_kind_needless() -> None:
    code = """
        import pickle, subprocess
        from flask import request
        kept = pickle.loads(pickle.dumps(1))
        sent = pickle.loads(request.data)
        subprocess.run(request.args["command"], shell=True)
    """

    found = [finding.rule for finding in findings(code)]
    assert sorted(found) == ["python.command_injection", "python.unsafe_deserialization"]


def test_an_assertion_that_guards_weighs_more_than_others() -> None:
    plain = findings("def go(n):\n    assert n > 0\n")[0]
    guard = findings("def go(user):\n    assert user.is_admin\n")[0]

    assert plain.score < guard.score < 0.5


@pytest.mark.parametrize("name", sorted(CALLS))
def test_every_function_of_the_table_can_be_called_with_nothing(name: str) -> None:
    head = name.partition(".")[0]
    imported = "" if "." not in name else f"import {head}\n"

    assert all(finding.score < 0.5 for finding in findings(f"{imported}{name}()\n"))
