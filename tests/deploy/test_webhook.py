"""The webhook: pods as people write them get BlueCode beside them, once, and stay valid."""

import base64
import copy
import json
import ssl
import subprocess
from pathlib import Path
from typing import Any

import anyio
import kubernetes_validate
import pytest
import uvicorn
from anyio.streams.tls import TLSAttribute
from replicas import free_port
from serving import post, serving
from starlette.testclient import TestClient

from bluecode.deploy.injection import VARIABLES
from bluecode.deploy.sidecar import Sidecar, SidecarError
from bluecode.deploy.webhook import create_webhook, renew, reviewed
from bluecode.proxy.config import SETTINGS, Config

KUBERNETES = "1.37"
SIDECAR = Sidecar(image="bluecode:1", upstream="https://api.openai.com/v1")
CLASSIC = Sidecar(image="bluecode:1", upstream="https://api.openai.com/v1", native=False)
LABELS = {"app": "assistant", "bluecode.dev/inject": "true"}


def pod(spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "assistant", "labels": LABELS, **metadata},
        "spec": spec,
    }


APP = {"name": "app", "image": "assistant:1"}
TOKEN = {
    "name": "kube-api-access-x7b2q",
    "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
    "readOnly": True,
}
PODS = {
    "one container": pod({"containers": [APP]}),
    "with variables of its own": pod(
        {"containers": [{**APP, "env": [{"name": "OPENAI_API_KEY", "value": "k"}]}]}
    ),
    "with a base URL of its own": pod(
        {"containers": [{**APP, "env": [{"name": "OPENAI_BASE_URL", "value": "http://own/v1"}]}]}
    ),
    "with a base URL from a ConfigMap": pod(
        {
            "containers": [
                {
                    **APP,
                    "env": [
                        {
                            "name": "ANTHROPIC_BASE_URL",
                            "valueFrom": {"configMapKeyRef": {"name": "c", "key": "url"}},
                        }
                    ],
                }
            ]
        }
    ),
    "several containers": pod(
        {"containers": [APP, {"name": "worker", "image": "w:1"}, {"name": "logs", "image": "l:1"}]}
    ),
    "init containers before it": pod(
        {"initContainers": [{"name": "migrate", "image": "m:1"}], "containers": [APP]}
    ),
    "another native sidecar": pod(
        {
            "initContainers": [
                {"name": "mesh", "image": "mesh:1", "restartPolicy": "Always"},
                {"name": "migrate", "image": "m:1"},
            ],
            "containers": [APP],
        }
    ),
    "a Job's pod": pod({"restartPolicy": "Never", "containers": [APP]}, generateName="job-"),
    "a restricted pod, as a Deployment makes it": pod(
        {
            "serviceAccountName": "assistant",
            "securityContext": {"runAsNonRoot": True, "fsGroup": 2000},
            "containers": [
                {
                    **APP,
                    "ports": [{"containerPort": 8080}],
                    "volumeMounts": [TOKEN],
                    "resources": {"limits": {"memory": "1Gi"}},
                }
            ],
            "volumes": [{"name": TOKEN["name"], "emptyDir": {}}],
            "terminationGracePeriodSeconds": 90,
        },
        ownerReferences=[
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "a-5d9", "uid": "1"}
        ],
    ),
    "with a policy and a key of its namespace": pod(
        {"containers": [APP]},
        annotations={
            "bluecode.dev/policy": "strict",
            "bluecode.dev/key": "provider",
            "bluecode.dev/upstream": "https://models.example/v1",
        },
    ),
    "with a policy beside other volumes": pod(
        {"containers": [APP], "volumes": [{"name": "data", "emptyDir": {}}]},
        annotations={"bluecode.dev/policy": "strict"},
    ),
    "with what replicas share": pod(
        {"containers": [APP]},
        annotations={
            "bluecode.dev/seal-key": "shared",
            "bluecode.dev/shared": "shared",
            "bluecode.dev/audit-database": "postgres",
            "bluecode.dev/database": "postgres",
            "bluecode.dev/traces": "http://collector.monitoring:4318",
        },
    ),
    "with labels and null lists": pod(
        {"containers": [{**APP, "env": None}], "initContainers": None, "volumes": None}
    ),
}


def review(asked: Any) -> bytes:
    return json.dumps(
        {
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {
                "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
                "kind": {"group": "", "version": "v1", "kind": "Pod"},
                "resource": {"group": "", "version": "v1", "resource": "pods"},
                "operation": "CREATE",
                "namespace": "team",
                "userInfo": {"username": "system:serviceaccount:kube-system:replicaset"},
                "object": asked,
                "oldObject": None,
                "dryRun": False,
            },
        }
    ).encode()


def answered(asked: Any, sidecar: Sidecar = SIDECAR) -> dict[str, Any]:
    answer: dict[str, Any] = reviewed(review(asked), sidecar)["response"]
    return answer


def patched(asked: dict[str, Any], sidecar: Sidecar = SIDECAR) -> dict[str, Any]:
    """The pod as the API server would make it: the patch's `add` operations, one by one."""
    changed = copy.deepcopy(asked)
    answer = answered(asked, sidecar)
    for step in json.loads(base64.b64decode(answer.get("patch", "W10="))):
        assert step["op"] == "add"
        *way, last = [int(part) if part.isdigit() else part for part in step["path"].split("/")[1:]]
        target: Any = changed
        for part in way:
            target = target[part]
        if last == "-":
            target.append(step["value"])
        elif isinstance(target, list):
            target.insert(last, step["value"])
        else:
            target[last] = step["value"]
    return changed


def cleaned(value: Any) -> Any:
    """Without what is null, as the API server stores it."""
    if isinstance(value, dict):
        return {key: cleaned(item) for key, item in value.items() if item is not None}
    return [cleaned(item) for item in value] if isinstance(value, list) else value


def named(pod: dict[str, Any], group: str, name: str) -> dict[str, Any]:
    (found,) = [item for item in pod["spec"][group] if item["name"] == name]
    return dict(found)


def variables(container: dict[str, Any]) -> dict[str, Any]:
    return {item["name"]: item.get("value") for item in container["env"]}


@pytest.mark.parametrize("sidecar", [SIDECAR, CLASSIC], ids=["native", "classic"])
@pytest.mark.parametrize("name", PODS)
def test_a_pod_gets_bluecode_beside_it_and_stays_valid(name: str, sidecar: Sidecar) -> None:
    changed = patched(PODS[name], sidecar)

    kubernetes_validate.validate(cleaned(changed), KUBERNETES, strict=True)
    group = "initContainers" if sidecar.native else "containers"
    container = named(changed, group, "bluecode")
    assert container.get("restartPolicy") == ("Always" if sidecar.native else None)
    assert variables(container)["BLUECODE_LISTEN"] == "127.0.0.1:8787"
    for other in changed["spec"]["containers"]:
        if other["name"] != "bluecode":
            assert variables(other).keys() >= VARIABLES.keys()


@pytest.mark.parametrize("sidecar", [SIDECAR, CLASSIC], ids=["native", "classic"])
@pytest.mark.parametrize("name", PODS)
def test_a_second_time_changes_nothing(name: str, sidecar: Sidecar) -> None:
    assert "patch" not in answered(patched(PODS[name], sidecar), sidecar)


@pytest.mark.parametrize("name", PODS)
def test_what_a_pod_says_itself_stays(name: str) -> None:
    before = PODS[name]
    changed = patched(before)

    for at, container in enumerate(before["spec"]["containers"]):
        there = changed["spec"]["containers"][at]
        assert {key: there[key] for key in container if key != "env"} == {
            key: value for key, value in container.items() if key != "env"
        }
        own = container.get("env") or []
        assert there["env"][: len(own)] == own
    assert changed["metadata"] == before["metadata"]


def test_other_init_containers_reach_a_native_sidecar() -> None:
    changed = patched(PODS["another native sidecar"])

    names = [item["name"] for item in changed["spec"]["initContainers"]]
    assert names == ["bluecode", "mesh", "migrate"]
    assert variables(named(changed, "initContainers", "migrate")).keys() >= VARIABLES.keys()


def test_a_classic_sidecar_is_not_promised_to_init_containers() -> None:
    changed = patched(PODS["init containers before it"], CLASSIC)

    assert "env" not in named(changed, "initContainers", "migrate")


def test_annotations_name_policy_key_and_provider() -> None:
    changed = patched(PODS["with a policy and a key of its namespace"])

    given = variables(named(changed, "initContainers", "bluecode"))
    config = Config.load(environ={k: v for k, v in given.items() if not k.endswith("KEY_FILE")})
    assert config.upstream == "https://models.example/v1"
    assert str(config.policy) == "/etc/bluecode/policy.toml"
    assert given["BLUECODE_UPSTREAM_KEY_FILE"] == "/etc/bluecode-key/upstream-key"
    assert [item["name"] for item in changed["spec"]["volumes"]] == [
        "bluecode-policy",
        "bluecode-key",
    ]


FULL = Sidecar(
    image="bluecode:1",
    upstream="https://api.openai.com/v1",
    traces="http://collector:4318",
    secrets={"seal-key": "all", "shared": "all", "audit-database": "all"},
)


def settings_of(changed: dict[str, Any]) -> dict[str, Any]:
    return {
        name.removeprefix("BLUECODE_").lower(): value
        for name, value in variables(named(changed, "initContainers", "bluecode")).items()
    }


def test_annotations_name_what_replicas_share() -> None:
    changed = patched(PODS["with what replicas share"])
    given = settings_of(changed)
    mounts = {
        item["mountPath"]: item["name"]
        for item in named(changed, "initContainers", "bluecode")["volumeMounts"]
    }
    secrets = {item["name"]: item["secret"]["secretName"] for item in changed["spec"]["volumes"]}

    assert given["traces"] == "http://collector.monitoring:4318"
    files = {name: value for name, value in given.items() if name.endswith("_file")}
    assert files.keys() == {
        "seal_key_file", "shared_file", "audit_database_file", "database_file",
    }  # fmt: skip
    for value in files.values():
        assert secrets[mounts[value.rpartition("/")[0]]] in ("shared", "postgres")
    config = {name: value for name, value in given.items() if name not in files}
    assert Config.load(environ={f"BLUECODE_{k.upper()}": v for k, v in config.items()})
    assert files.keys() <= set(SETTINGS)


def test_what_all_sidecars_have_a_pod_can_change_and_leave_out() -> None:
    plain = settings_of(patched(PODS["one container"], FULL))
    assert plain["traces"] == "http://collector:4318"
    assert {"seal_key_file", "shared_file", "audit_database_file"} <= plain.keys()

    own = {"shared": "", "traces": "", "audit-database": "own"}
    asked = pod({"containers": [APP]}, annotations={f"bluecode.dev/{k}": v for k, v in own.items()})
    changed = patched(asked, FULL)
    given = settings_of(changed)
    names = {item["name"]: item["secret"]["secretName"] for item in changed["spec"]["volumes"]}
    assert "traces" not in given and "shared_file" not in given
    assert names == {"bluecode-seal-key": "all", "bluecode-audit-database": "own"}
    assert "patch" not in answered(changed, FULL)


def test_a_shared_store_without_a_seal_is_denied() -> None:
    asked = pod({"containers": [APP]}, annotations={"bluecode.dev/shared": "redis"})

    answer = answered(asked)

    assert answer["allowed"] is False and "seal-key" in answer["status"]["message"]


@pytest.mark.parametrize("value", ["false", "TRUE", "", None])
def test_a_pod_that_does_not_ask_is_left_alone(value: str | None) -> None:
    asked = pod({"containers": [APP]}, labels={"bluecode.dev/inject": value} if value else None)

    answer = answered(asked)

    assert answer == {"uid": answer["uid"], "allowed": True}


REFUSED = {
    "on the host's network": {"hostNetwork": True, "containers": [APP]},
    "for Windows": {"os": {"name": "windows"}, "containers": [APP]},
    "with the port taken": {"containers": [{**APP, "ports": [{"containerPort": 8787}]}]},
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_pod_that_cannot_have_it_is_denied_with_the_reason(name: str) -> None:
    answer = answered(pod(REFUSED[name]))

    assert answer["allowed"] is False and "patch" not in answer
    assert answer["status"]["message"].startswith("bluecode: ")


def spoiled(**fields: Any) -> bytes:
    return json.dumps(json.loads(review(PODS["one container"])) | fields).encode()


MALFORMED = {
    "nothing": b"",
    "no JSON": b"{",
    "too large": b" " * (5 * 1024**2),
    "no UTF-8": b"\xff\xfe{}",
    "deep": b"[" * 100_000,
    "a list": b"[]",
    "another kind": spoiled(kind="Pod"),
    "an old version": spoiled(apiVersion="admission.k8s.io/v1beta1"),
    "no request": spoiled(request=None),
    "no uid": spoiled(request={"object": PODS["one container"]}),
    "no object": spoiled(request={"uid": "1"}),
    "another object": review({"kind": "Service", "metadata": {}, "spec": {}}),
    "no spec": review({"kind": "Pod", "metadata": {"labels": LABELS}}),
    "no containers": review(pod({"containers": []})),
    "containers that are none": review(pod({"containers": ["app"]})),
    "an env that is none": review(pod({"containers": [{**APP, "env": {"A": "b"}}]})),
    "labels that are none": review(pod({"containers": [APP]}, labels=["x"])),
    "an annotation that is none": review(
        pod({"containers": [APP]}, annotations={"bluecode.dev/policy": {"a": 1}})
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_review_is_refused_cleanly(name: str) -> None:
    with TestClient(create_webhook(SIDECAR)) as client:
        answer = client.post("/mutate", content=MALFORMED[name])
        alive = client.get("/healthz")

    assert answer.status_code == 400
    assert answer.json()["error"].endswith(".")
    assert alive.status_code == 200


async def test_a_review_over_the_wire_gets_its_uid_back() -> None:
    async with serving(create_webhook(SIDECAR)) as root:
        status, _, body = await post(f"{root}/mutate", review(PODS["one container"]))

    answer = json.loads(body)
    assert status == 200
    assert answer["kind"] == "AdmissionReview"
    assert answer["response"]["uid"] == "705ab4f5-6393-11e8-b7cc-42010a800002"


@pytest.mark.parametrize(
    "table",
    [
        [],
        {},
        {"image": "i"},
        {"image": "i", "upstream": "u", "imagge": "x"},
        {"image": "i", "upstream": "u", "native": "yes"},
        {"image": "i", "upstream": "u", "settings": {"PATH": "/"}},
        {"image": "i", "upstream": "u", "secrets": {"password": "x"}},
        {"image": "i", "upstream": "u", "secrets": {"database": 1}},
        {"image": "i", "upstream": "u", "secrets": {"shared": "x"}},
        {"image": "i", "upstream": "u", "traces": None},
        {"image": "i", "upstream": "u", "settings": {"BLUECODE_WORKERS": 2}},
    ],
)
def test_a_description_of_the_sidecar_that_cannot_be_used_is_refused(table: Any) -> None:
    with pytest.raises(SidecarError):
        Sidecar.parse(table)


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    cert, key = folder / "tls.crt", folder / "tls.key"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1"
    subprocess.run(
        [*command.split(), "-subj", f"/CN={name}", "-keyout", key, "-out", cert],
        check=True,
        capture_output=True,
    )
    return cert, key


async def test_it_serves_tls_and_takes_up_a_renewed_certificate(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "first")
    port = free_port()
    settings = uvicorn.Config(
        create_webhook(SIDECAR),
        port=port,
        ssl_certfile=str(cert),
        ssl_keyfile=str(key),
        log_config=None,
    )
    settings.load()
    server = uvicorn.Server(settings)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve)
        tasks.start_soon(renew, settings, cert, key, 0.05)
        while not server.started:
            await anyio.sleep(0.01)
        before = await subject(port)
        certificate(tmp_path, "second")
        with anyio.fail_after(10):
            while await subject(port) == before:
                await anyio.sleep(0.05)
        server.should_exit = True
        await anyio.sleep(0.3)
        tasks.cancel_scope.cancel()

    assert b"first" in before


async def subject(port: int) -> bytes:
    """The certificate that the server shows, as DER; names in it are plain bytes."""
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    stream = await anyio.connect_tcp(
        "127.0.0.1", port, ssl_context=trusting, tls_standard_compatible=False
    )
    async with stream:
        return bytes(stream.extra(TLSAttribute.peer_certificate_binary))
