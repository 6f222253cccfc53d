"""The docs name everything there is, and nothing that is not."""

import argparse
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from bluecode.defenses.checkers import CHECKERS
from bluecode.defenses.checkers.credentials import RULES as CREDENTIALS
from bluecode.defenses.checkers.dynamic import WEAKNESSES
from bluecode.defenses.checkers.python_rules import RULES as PYTHON
from bluecode.defenses.detectors import DETECTORS
from bluecode.defenses.policy import Policy
from bluecode.proxy.__main__ import parser
from bluecode.proxy.config import SETTINGS, Config
from bluecode.proxy.metrics import Metrics

ROOT = Path(__file__).resolve().parents[1]
TOPS = ("", "proxy", "defenses", "sandbox", "deploy", "tests")
DOCS = [path for top in TOPS for path in sorted((ROOT / top).glob("*.md"))]


ASSISTANTS = {"aider-chat", "llm"}
"""What the docs have one install from elsewhere."""


def text(*path: str) -> str:
    return ROOT.joinpath(*path).read_text("utf-8")


def commands() -> set[str]:
    actions = parser()._actions
    (found,) = [item for item in actions if isinstance(item, argparse._SubParsersAction)]
    return set(found.choices)


def shell_lines() -> Iterator[tuple[str, list[str]]]:
    """Every command of every shell block, by file, split at `&&`."""
    for path in DOCS:
        for block in re.findall(r"```bash\n(.*?)```", path.read_text("utf-8"), re.DOTALL):
            for line in block.splitlines():
                for part in line.split("&&"):
                    yield path.name, shlex.split(part.partition(" > ")[0])


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def metrics() -> set[str]:
    shown = Metrics()
    shown.watch_guests(dict)
    return {
        family.name + ("_total" if family.type == "counter" else "")
        for family in shown.registry.collect()
    }


def dependencies() -> set[str]:
    project = tomllib.loads(text("pyproject.toml"))["project"]
    listed = [*project["dependencies"], *sum(project["optional-dependencies"].values(), [])]
    return {re.split(r"[^\w-]", item)[0] for item in listed} - {"bluecode"}


@pytest.mark.parametrize("name", sorted(dependencies()))
def test_every_dependency_has_its_reason(name: str) -> None:
    table = text("CONTRIBUTING.md").partition("Why each dependency is here")[2]

    assert re.search(rf"^\|[^|]*\b{name}\b", table, re.MULTILINE)


@pytest.mark.parametrize("command", sorted(commands()))
def test_every_command_is_in_the_readme(command: str) -> None:
    assert f"bluecode {command}" in text("README.md")


@pytest.mark.parametrize("key", SETTINGS)
def test_every_setting_is_in_the_readme_of_the_proxy(key: str) -> None:
    assert f"`{key}`" in text("proxy", "README.md")


@pytest.mark.parametrize("key", [item.name for item in fields(Policy)])
def test_every_policy_key_is_in_the_docs_and_in_the_commented_default(key: str) -> None:
    assert re.search(rf"`\[?{key}[\].`]", text("deploy", "README.md"))
    assert re.search(rf"^(?:# )?\[*{key}\b", text("deploy", "policy.toml"), re.MULTILINE)


@pytest.mark.parametrize("name", sorted(metrics()))
def test_every_metric_is_in_the_readme_of_the_proxy(name: str) -> None:
    assert f"`{name}`" in text("proxy", "README.md")


def test_no_metric_is_documented_that_does_not_exist() -> None:
    documented = set(re.findall(r"^\| `(bluecode_\w+)`", text("proxy", "README.md"), re.MULTILINE))

    assert documented == metrics()


@pytest.mark.parametrize("name", [*DETECTORS, *CHECKERS, "dynamic"])
def test_every_detector_and_checker_has_a_row_in_the_readme(name: str) -> None:
    assert re.search(rf"^\| `{name}` \|", text("README.md"), re.MULTILINE)


@pytest.mark.parametrize("rule", [*PYTHON, *CREDENTIALS])
def test_every_rule_has_a_row_in_the_readme_of_the_defenses(rule: str) -> None:
    cwe = PYTHON[rule].cwe if rule in PYTHON else CREDENTIALS[rule][1]

    assert f"| `{rule}` | {cwe} |" in text("defenses", "README.md")


def test_what_a_run_discovers_has_the_name_of_a_rule() -> None:
    assert {f"python.{weakness.rule}" for weakness in WEAKNESSES.values()} <= set(PYTHON)


def test_the_settings_shown_in_the_docs_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "openai.key").write_text("key", encoding="utf-8")
    path = tmp_path / "config.toml"
    for block in re.findall(r"```toml\n(.*?)```", text("proxy", "README.md"), re.DOTALL):
        path.write_text(block, encoding="utf-8")
        config = Config.load(path, environ={})
        assert list(config.proxy_keys) == list(tomllib.loads(block).get("proxy_keys", {}))


@pytest.mark.parametrize(("file", "words"), list(shell_lines()))
def test_every_command_in_a_shell_block_can_be_given(file: str, words: list[str]) -> None:
    words = words[1:] if "=" in words[0] else words
    program = words[0].rpartition("/")[2]
    if program == "bluecode":
        parser().parse_args(words[1:])
    elif program == "pip":
        _is_installable(words)
    elif program in ("python", "pytest"):
        assert all((ROOT / word).exists() for word in words[1:] if word.startswith("tests/"))
    elif program == "npm":
        assert words[1] == "install"
    else:
        assert program in ("rm", "run")
        assert program == "rm" or (ROOT / words[0]).exists()


def _is_installable(words: list[str]) -> None:
    extras = tomllib.loads(text("pyproject.toml"))["project"]["optional-dependencies"]
    assert words[1] == "install"
    found = re.fullmatch(r"\.(?:\[([\w,]+)\])?", words[-1])
    if found is None:
        assert words[-1] in ASSISTANTS
    else:
        assert set((found[1] or "").split(",")) - {""} <= set(extras)


@pytest.mark.parametrize("path", DOCS, ids=name_of)
def test_every_link_leads_to_a_file(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8")):
        if "://" not in target:
            assert (path.parent / target.partition("#")[0]).exists(), target


@pytest.mark.parametrize("path", DOCS, ids=name_of)
def test_every_file_named_in_a_table_of_files_exists(path: Path) -> None:
    tables = re.findall(r"^\| file.*\n(?:\|.*\n)+", path.read_text("utf-8"), re.MULTILINE)
    for row in "".join(tables).splitlines():
        for name in re.findall(r"`([^`]+)`", row.split("|")[1]):
            assert (path.parent / name).exists(), name
