"""From a pod to the JSON patch that puts BlueCode beside its containers.

Applied twice it changes nothing the second time. What a container sets itself stays as it is, so a
variable that comes from `envFrom` alone is overruled: a pod does not tell what is in it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from bluecode.deploy.sidecar import NAME, PORT, SECRETS, Sidecar, Wishes

LABEL: Final = "bluecode.dev/inject"
ANNOTATIONS: Final = "bluecode.dev/"
VARIABLES: Final[Mapping[str, str]] = {
    "OPENAI_BASE_URL": f"http://127.0.0.1:{PORT}/v1",
    "OPENAI_API_BASE": f"http://127.0.0.1:{PORT}/v1",
    "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{PORT}",
}
"""Where assistants and SDKs look for their provider."""

Patch = list[dict[str, Any]]
Pod = Mapping[str, Any]


class PodRefused(Exception):
    """A pod that asks for a sidecar which it cannot have; the message says why, to its author."""


class PodMalformed(Exception):
    """Something that is no pod."""


def patch_for(pod: Pod, sidecar: Sidecar) -> Patch:
    """The patch; empty where the pod does not ask, or has all already.

    Raises `PodRefused` and `PodMalformed`.
    """
    metadata = _mapping(pod.get("metadata", {}), "metadata")
    if _mapping(metadata.get("labels") or {}, "metadata.labels").get(LABEL) != "true":
        return []
    spec = _mapping(pod.get("spec"), "spec")
    groups = {
        name: _containers(spec, name)
        for name in ("initContainers", "containers")
        if spec.get(name) is not None
    }
    if not groups.get("containers"):
        raise PodMalformed("`spec.containers` is missing or empty.")
    _can_have_it(spec, groups)
    present = any(item["name"] == NAME for group in groups.values() for item in group)
    patch = [*_pointed(groups, reached=sidecar.native)]
    if not present:
        wishes = _wishes(_mapping(metadata.get("annotations") or {}, "metadata.annotations"))
        _goes_together(sidecar.secrets_for(wishes))
        patch += [*_added(spec, groups, sidecar, wishes)]
    return patch


def _pointed(groups: Mapping[str, Sequence[Pod]], *, reached: bool) -> Iterator[dict[str, Any]]:
    """Variables that are not set yet. Init containers reach a native sidecar alone."""
    for group, containers in groups.items():
        if group == "initContainers" and not reached:
            continue
        for at, container in enumerate(containers):
            if container["name"] != NAME:
                yield from _variables(f"/spec/{group}/{at}/env", container.get("env"))


def _variables(path: str, env: Any) -> Iterator[dict[str, Any]]:
    present = {item.get("name") for item in env or () if isinstance(item, Mapping)}
    wanted = [(name, value) for name, value in VARIABLES.items() if name not in present]
    if wanted and not env:
        yield {"op": "add", "path": path, "value": []}
    for name, value in wanted:
        yield {"op": "add", "path": f"{path}/-", "value": {"name": name, "value": value}}


def _added(
    spec: Pod, groups: Mapping[str, Sequence[Pod]], sidecar: Sidecar, wishes: Wishes
) -> Iterator[dict[str, Any]]:
    volumes = sidecar.volumes(wishes)
    if volumes and not spec.get("volumes"):
        yield {"op": "add", "path": "/spec/volumes", "value": []}
    for volume in volumes:
        yield {"op": "add", "path": "/spec/volumes/-", "value": volume}
    container = sidecar.container(wishes)
    if not sidecar.native:
        yield {"op": "add", "path": "/spec/containers/-", "value": container}
    elif groups.get("initContainers"):
        # First of all: the other init containers may ask a model, too.
        yield {"op": "add", "path": "/spec/initContainers/0", "value": container}
    else:
        yield {"op": "add", "path": "/spec/initContainers", "value": [container]}


def _can_have_it(spec: Pod, groups: Mapping[str, Sequence[Pod]]) -> None:
    if spec.get("hostNetwork"):
        raise PodRefused("A pod on the host's network has no loopback of its own for BlueCode.")
    system = spec.get("os")
    if isinstance(system, Mapping) and system.get("name") == "windows":
        raise PodRefused("BlueCode's image is for Linux; this pod asks for Windows.")
    for containers in groups.values():
        for container in containers:
            ports = container.get("ports") or ()
            taken = any(isinstance(p, Mapping) and p.get("containerPort") == PORT for p in ports)
            if taken and container["name"] != NAME:
                raise PodRefused(
                    f"Port {PORT} is taken by `{container['name']}`; BlueCode needs it."
                )


def _wishes(annotations: Pod) -> Wishes:
    told = {
        name: annotations[f"{ANNOTATIONS}{name}"]
        for name in ("upstream", "policy", "traces", *SECRETS)
        if f"{ANNOTATIONS}{name}" in annotations
    }
    if not all(isinstance(value, str) for value in told.values()):
        raise PodMalformed("An annotation is not a text.")
    secrets = {name: told.pop(name) for name in SECRETS if name in told}
    return Wishes(**told, secrets=secrets)


def _goes_together(secrets: Mapping[str, str]) -> None:
    if "shared" in secrets and "seal-key" not in secrets:
        raise PodRefused(
            f"`{ANNOTATIONS}shared` needs `{ANNOTATIONS}seal-key`: what is shared is sealed by it."
        )


def _mapping(value: Any, name: str) -> Pod:
    if not isinstance(value, Mapping):
        raise PodMalformed(f"`{name}` is not an object.")
    return value


def _containers(spec: Pod, name: str) -> Sequence[Pod]:
    found = spec[name]
    if not isinstance(found, list):
        raise PodMalformed(f"`spec.{name}` is not a list.")
    for item in found:
        if not isinstance(item, Mapping) or not isinstance(item.get("name"), str):
            raise PodMalformed(f"`spec.{name}` holds something without a name.")
        if not isinstance(item.get("env") or [], list):
            raise PodMalformed(f"`spec.{name}` holds an `env` that is not a list.")
    return found
