"""The pages in `docs` and the threat model: what they name is there, what they say works."""

import ast
import re
import shlex
from pathlib import Path

import pytest
import yaml

from bluecode.deploy.injection import ANNOTATIONS
from bluecode.deploy.sidecar import SECRETS

helm = pytest.importorskip("helm_python", reason="no wheel of Helm's code for this machine")
ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
KUBERNETES = (ROOT / "docs" / "kubernetes.md").read_text("utf-8")
CHART = ROOT / "deploy" / "helm" / "bluecode"
THREATS = re.findall(r"\| `(tests/[\w/.]+)::(\w+)` \|$", (ROOT / "SECURITY.md").read_text(), re.M)


def commands(text: str) -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_and_file_of_a_page_exists(path: Path) -> None:
    text = path.read_text("utf-8")

    for target in re.findall(r"\]\(([^)\s#]+)[^)]*\)", text):
        assert (path.parent / target).exists(), target
    for name in re.findall(r"`((?:\.\./)?deploy/[\w./-]+)`", text):
        assert (ROOT / name.removeprefix("../")).exists(), name


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_heading_that_a_page_links_to_exists(path: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)\s#]*)#([\w-]+)\)", path.read_text("utf-8")):
        there = (path.parent / target).resolve() if target else path
        titles = re.findall(r"^#+ (.+)$", there.read_text("utf-8"), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", t).lower().replace(" ", "-") for t in titles}


def test_it_takes_at_most_ten_commands_to_a_guarded_pod_and_a_dashboard() -> None:
    assert 5 <= len(commands(KUBERNETES)) <= 10


def test_helm_takes_the_values_that_the_page_sets() -> None:
    (words,) = [words for words in commands(KUBERNETES) if words[0] == "helm"]
    assert (ROOT / words[4]).resolve() == CHART
    values = helm.parse_set_string(words[words.index("--set") + 1])

    with helm.Chart.load(str(CHART)) as chart:
        rendered = chart.render(values, name=words[3], namespace="bluecode")

    kinds = re.findall(r"^kind: (\w+)$", "\n".join(rendered.values()), re.MULTILINE)
    monitored = {"ServiceMonitor", "PodMonitor", "PrometheusRule", "MutatingWebhookConfiguration"}
    assert monitored <= set(kinds)
    assert rendered["bluecode/templates/monitoring.yaml"].count("release: monitoring") == 3


def test_the_names_on_the_page_are_those_that_the_chart_gives() -> None:
    with helm.Chart.load(str(CHART)) as chart:
        rendered = chart.render({}, name="bluecode", namespace="bluecode")

    service = yaml.safe_load(rendered["bluecode/templates/service.yaml"])
    assert f"service/{service['metadata']['name']} 8787:8787" in KUBERNETES


def test_every_value_that_a_page_names_exists() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    named = re.findall(r"`((?:gateway|webhook|networkPolicy|monitoring)\.[\w.]+)", KUBERNETES)

    for name in named:
        found = values
        for part in name.split("."):
            assert part in found, name
            found = found[part]


def test_every_annotation_on_the_page_is_read() -> None:
    files = (ROOT / "deploy" / name for name in ("injection.py", "sidecar.py"))
    source = "".join(path.read_text("utf-8") for path in files)

    named = set(re.findall(rf"^\| `{re.escape(ANNOTATIONS)}([\w-]+)` \|", KUBERNETES, re.MULTILINE))
    assert named == {"upstream", "policy", "traces", *SECRETS}
    assert all(f'"{name}"' in source for name in named)


def test_every_threat_but_the_one_that_is_not_held_names_a_test() -> None:
    table = (ROOT / "SECURITY.md").read_text("utf-8").partition("## Who can attack what")[2]
    rows = [row for row in table.splitlines() if row.startswith("| ")][1:]

    assert len(rows) - len(THREATS) == sum(row.endswith("| none |") for row in rows) == 1


@pytest.mark.parametrize(("file", "test"), sorted(set(THREATS)))
def test_every_test_that_the_threat_model_names_exists(file: str, test: str) -> None:
    tree = ast.parse((ROOT / file).read_text("utf-8"))

    defined = (ast.FunctionDef, ast.AsyncFunctionDef)
    assert test in {node.name for node in ast.walk(tree) if isinstance(node, defined)}
