"""The chart, rendered by Helm's own code (helm-python-sdk) and held against Kubernetes' schemas."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from bluecode.defenses.policy import Policy
from bluecode.deploy.injection import LABEL, VARIABLES
from bluecode.deploy.sidecar import HEALTH_PORT, PORT, Sidecar, Wishes
from bluecode.proxy.config import Config

helm = pytest.importorskip("helm_python", reason="no wheel of Helm's code for this machine")
DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
CHART = DEPLOY / "helm" / "bluecode"
GOLDEN = Path(__file__).parent / "golden"
KUBERNETES = ("1.29", "1.37")
OWN = ("monitoring.coreos.com/", "cert-manager.io/")
"""Kinds whose schemas are not Kubernetes' own."""

EVERYTHING = {
    "monitoring": {"serviceMonitor": True, "podMonitor": True, "rules": True, "dashboard": True}
}
MODES: Mapping[str, dict[str, Any]] = {
    "gateway": {},
    "gateway-monitored": {
        **EVERYTHING,
        "upstreamKeySecret": "provider",
        "upstreams": [
            {
                "name": "local",
                "upstream": "http://ollama.ai:11434/v1",
                "models": ["qwen3*", 'a "name"'],
                "aliases": {"small": "qwen3:4b", "code <1>": "qwen3-coder"},
                "protocols": ["openai", "ollama"],
                "fallbacks": ["claude"],
            },
            {
                "name": "claude",
                "upstream": "anthropic/*",
                "aliases": {"small": "claude-haiku-4-5"},
                "secret": {"name": "providers", "key": "anthropic"},
            },
        ],
        "proxyKeysSecret": "clients",
        "sealKeySecret": "seal",
        "sharedSecret": "redis",
        "auditDatabaseSecret": "postgres",
        "databaseSecret": "postgres",
        "capture": {"claim": "captures", "publicKey": "bluecode-public-AAAA"},
        "metricsKeySecret": "scrapers",
        "traces": "http://collector.monitoring:4318",
        "policy": "shadow = true\n",
        "settings": {"BLUECODE_HELD_LIMIT": "4000000"},
        "image": {"repository": "registry.example/bluecode", "digest": "sha256:" + "a" * 64},
        "gateway": {"autoscaling": {"inFlight": 20}},
        "networkPolicy": {
            "upstream": {"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}]},
            "egress": [
                {
                    "to": [{"podSelector": {"matchLabels": {"app": "redis"}}}],
                    "ports": [{"protocol": "TCP", "port": 6380}],
                }
            ],
        },
    },
    "sidecars": {"gateway": {"enabled": False}, "webhook": {"enabled": True}},
    "sidecars-classic": {
        "gateway": {"enabled": False},
        "webhook": {
            "enabled": True,
            "failurePolicy": "Ignore",
            "certificate": {"source": "cert-manager", "issuer": {"name": "ca"}},
            "namespaceSelector": {"matchLabels": {"team": "ai"}},
            "sidecar": {
                "native": False,
                "secrets": {"seal-key": "shared", "shared": "shared", "database": "shared"},
            },
        },
        "traces": "http://collector.monitoring:4318",
    },
}


def rendered(values: dict[str, Any]) -> dict[str, str]:
    with helm.Chart.load(str(CHART)) as chart:
        return dict(chart.render(values, name="guard", namespace="ai"))


def documents(values: dict[str, Any]) -> list[dict[str, Any]]:
    texts = (text for name, text in rendered(values).items() if name.endswith(".yaml"))
    return [item for text in texts for item in yaml.safe_load_all(text) if item]


def one(kind: str, values: dict[str, Any], name: str = "") -> dict[str, Any]:
    (found,) = [
        item
        for item in documents(values)
        if item["kind"] == kind and item["metadata"]["name"].endswith(name)
    ]
    return found


def as_golden(values: dict[str, Any]) -> str:
    """All manifests, less what is made anew each time and what is a file of its own."""
    text = "".join(
        f"# {name.partition('/')[2]}\n{text.strip()}\n"
        for name, text in sorted(rendered(values).items())
        if text.strip()
    )
    text = re.sub(r"(  policy\.toml: \|).*?\n(?=\S)", r"\1 (a file)\n", text, flags=re.S)
    text = re.sub(r"(checksum/policy): \w+", r"\1: (of a file)", text)
    text = re.sub(r"(ca\.crt|tls\.crt|tls\.key|caBundle): \S{40,}", r"\1: (made anew)", text)
    return re.sub(
        r"  bluecode\.json: \|.*?\n(?=\S)", "  bluecode.json: (a file)\n", text + "#", flags=re.S
    )


@pytest.mark.parametrize("mode", MODES)
def test_manifests_are_as_they_were(mode: str) -> None:
    """`GOLDEN=write pytest …` writes them anew; look at the difference before you commit it."""
    path = GOLDEN / f"{mode}.yaml"
    text = as_golden(MODES[mode])
    if os.environ.get("GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")

    assert text == path.read_text("utf-8")


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("mode", MODES)
def test_every_manifest_is_valid(mode: str, version: str) -> None:
    for item in documents(MODES[mode]):
        if not item["apiVersion"].startswith(OWN):
            kubernetes_validate.validate(item, version, strict=True)


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("path", sorted((DEPLOY / "kubernetes").glob("*.yaml")), ids=str)
def test_every_manifest_to_copy_is_valid(path: Path, version: str) -> None:
    for item in yaml.safe_load_all(path.read_text("utf-8")):
        kubernetes_validate.validate(item, version, strict=True)


def test_the_chart_is_clean() -> None:
    told = [item["error"] for item in helm.lint(str(CHART))["messages"] if item["severity"] > 0]

    assert told == ["icon is recommended"]


def containers(mode: str) -> Iterator[dict[str, Any]]:
    for item in documents(MODES[mode]):
        if item["kind"] == "Deployment":
            yield from item["spec"]["template"]["spec"]["containers"]


@pytest.mark.parametrize("mode", MODES)
def test_every_container_is_confined_and_bounded(mode: str) -> None:
    for container in containers(mode):
        security = container["securityContext"]
        assert security["runAsNonRoot"] and security["readOnlyRootFilesystem"]
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert security["allowPrivilegeEscalation"] is False
        assert container["resources"]["limits"]["memory"]
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()


@pytest.mark.parametrize("mode", ["gateway", "gateway-monitored"])
def test_the_gateway_gets_settings_that_it_knows(mode: str, tmp_path: Path) -> None:
    (container,) = containers(mode)
    given = {item["name"]: item["value"] for item in container["env"]}
    keys = re.findall(r'key_file = "([^"]+)"', given.get("BLUECODE_UPSTREAMS", ""))
    (tmp_path / "key").write_text("a-key")
    for path in keys:
        told = given["BLUECODE_UPSTREAMS"].replace(path, str(tmp_path / "key"))
        given["BLUECODE_UPSTREAMS"] = told

    config = Config.load(environ={k: v for k, v in given.items() if not k.endswith("_FILE")})

    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http": config.port, "health": config.health_address[1]}  # type: ignore[index]
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    files = [
        value for name, value in given.items() if name.endswith(("_FILE", "_POLICY", "_CAPTURE"))
    ]
    assert {value.rpartition("/")[0] for value in (*files, *keys)} == mounts
    asked = MODES[mode].get("upstreams", [])
    assert [one.name for one in config.upstreams] == [table["name"] for table in asked]
    for one, table in zip(config.upstreams, asked, strict=True):
        assert (one.upstream, dict(one.aliases)) == (table["upstream"], table["aliases"])
        assert list(one.models) == table.get("models", [])
        assert list(one.fallbacks) == table.get("fallbacks", [])
        assert (one.key is not None) is ("secret" in table)


def test_there_is_time_for_the_drain_before_a_pod_is_killed() -> None:
    spec = one("Deployment", {})["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    given = {item["name"]: item["value"] for item in container["env"]}
    (pause,) = re.findall(
        r"sleep\((\d+)\)", container["lifecycle"]["preStop"]["exec"]["command"][2]
    )

    drain = int(given["BLUECODE_DRAIN_TIMEOUT"])
    assert drain == 60
    assert spec["terminationGracePeriodSeconds"] > int(pause) + drain


def test_the_policy_is_the_default_one_and_a_change_rolls_the_pods() -> None:
    def checksum(values: dict[str, Any]) -> str:
        template = one("Deployment", values)["spec"]["template"]
        return str(template["metadata"]["annotations"]["checksum/policy"])

    shown = one("ConfigMap", {}, "-policy")["data"]["policy.toml"]
    assert Policy.parse(shown) == Policy.default(), (
        "cp deploy/policy.toml deploy/helm/bluecode/files"
    )
    assert checksum({}) == checksum({}) != checksum({"policy": "shadow = true\n"})


def test_the_webhook_is_told_a_sidecar_that_it_can_read() -> None:
    table = one("ConfigMap", MODES["sidecars"], "-webhook")["data"]["sidecar.json"]

    sidecar = Sidecar.parse(json.loads(table))

    assert (sidecar.native, sidecar.image) == (True, "bluecode:0.1.0")


def test_sidecars_get_what_replicas_share_and_traces() -> None:
    table = one("ConfigMap", MODES["sidecars-classic"], "-webhook")["data"]["sidecar.json"]

    sidecar = Sidecar.parse(json.loads(table))

    assert sidecar.traces == "http://collector.monitoring:4318"
    assert sidecar.secrets_for(Wishes()).keys() == {"seal-key", "shared", "database"}


def test_the_webhook_is_asked_only_about_pods_that_ask() -> None:
    (hook,) = one("MutatingWebhookConfiguration", MODES["sidecars"])["webhooks"]

    assert hook["objectSelector"] == {"matchLabels": {LABEL: "true"}}
    assert hook["failurePolicy"] == "Fail"
    assert len(hook["clientConfig"]["caBundle"]) > 100


@pytest.mark.parametrize("name", ["native", "classic"])
def test_the_sidecar_to_copy_is_the_one_that_the_webhook_writes(name: str) -> None:
    text = (DEPLOY / "kubernetes" / f"sidecar-{name}.yaml").read_text("utf-8")
    spec = yaml.safe_load(text)["spec"]
    groups = spec.get("initContainers", []) + spec["containers"]
    shown, app = groups
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))["webhook"]["sidecar"]
    sidecar = Sidecar(
        image=shown["image"],
        upstream="https://api.openai.com/v1",
        native=name == "native",
        resources=values["resources"],
    )

    written = sidecar.container(Wishes())

    written["env"] = [v for v in written["env"] if v["name"] != "BLUECODE_DRAIN_TIMEOUT"]
    del written["imagePullPolicy"]
    assert shown == written
    assert {item["name"]: item["value"] for item in app["env"]} == VARIABLES
    assert (PORT, HEALTH_PORT) == (8787, 8788)


@pytest.mark.parametrize(
    "values",
    [
        {"gatway": {}},
        {"gateway": {"replicas": 0}},
        {"gateway": {"autoscaling": {"cpus": 70}}},
        {"webhook": {"failurePolicy": "Maybe"}},
        {"settings": {"PATH": "/"}},
        {"upstream": ""},
        {"upstreams": [{"name": "a"}]},
        {"upstreams": [{"name": "a", "upstream": "demo", "key": "secret"}]},
        {"sharedSecret": "redis"},
        {"traces": 4318},
        {"capture": {"claim": "captures"}},
        {"capture": {"claim": "captures", "publicKey": "bluecode-private-AAAA"}},
        {"webhook": {"enabled": True, "sidecar": {"secrets": {"shared": "redis"}}}},
        {"webhook": {"enabled": True, "sidecar": {"secrets": {"upstream": "x"}}}},
        {"image": {"digest": "latest"}},
    ],
)
def test_a_misspelt_value_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(helm.HelmError):
        rendered(values)


def test_every_value_is_explained_and_in_the_schema() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))

    assert values.keys() | {"global"} == schema["properties"].keys()
    for name, value in values.items():
        if isinstance(value, dict) and schema["properties"][name].get("properties"):
            assert value.keys() == schema["properties"][name]["properties"].keys()


def test_alerts_of_the_chart_lead_where_its_reader_can_go() -> None:
    base = {"monitoring": {"rules": True, "runbookBase": "https://git.example/bluecode/"}}
    groups = one("PrometheusRule", base)["spec"]["groups"]
    links = {
        rule["annotations"]["runbook_url"]
        for group in groups
        for rule in group["rules"]
        if "alert" in rule
    }

    prefix = "https://git.example/bluecode/docs/operations.md#bluecode"
    rules = (DEPLOY / "prometheus" / "rules.yaml").read_text("utf-8")
    assert len(links) == rules.count("- alert:") and all(link.startswith(prefix) for link in links)
