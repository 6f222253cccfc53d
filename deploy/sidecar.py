"""The container that stands beside an application: what it is told, what it may use."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

NAME: Final = "bluecode"
PORT: Final = 8787
"""On loopback: the pod's own containers alone reach it."""
HEALTH_PORT: Final = 8788
"""On the pod's address, for the kubelet's probes and for Prometheus."""
POLICY_FOLDER: Final = "/etc/bluecode"
SECRETS: Final[Mapping[str, str]] = {
    "key": "upstream-key",
    "seal-key": "seal-key",
    "shared": "shared",
    "audit-database": "audit-database",
    "database": "database",
}
"""What a Secret of the pod's namespace may hold, by the name of its annotation, and under which
key; that is also the setting that it is for."""
USER: Final = 10001


class SidecarError(Exception):
    """A description of the sidecar that cannot be used; the message says what and what would do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """What every injected sidecar has in common. Read from a file with just these keys."""

    image: str
    upstream: str
    """The provider; a pod may name another by annotation."""
    pull_policy: str = "IfNotPresent"
    native: bool = True
    """An init container that restarts, from Kubernetes 1.29 on; a container beside the others
    where False, which keeps a Job from ending."""
    traces: str = ""
    """Root of an OTLP receiver; a pod may name another, or none."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Names of Secrets, one for each of `SECRETS` that all sidecars are to have; a pod may name
    another, or none."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """More `BLUECODE_…` variables."""
    resources: Mapping[str, Any] = field(default_factory=dict)
    drain: int = 30
    """Seconds that running answers have to end."""

    @classmethod
    def load(cls, path: Path) -> "Sidecar":
        """Raises `SidecarError` for a file that cannot be read, an unknown key or a wrong type."""
        try:
            table = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise SidecarError(f"The sidecar's file cannot be read: {error}.") from error
        return cls.parse(table)

    @classmethod
    def parse(cls, table: Any) -> "Sidecar":
        if not isinstance(table, dict):
            raise SidecarError("The sidecar's file must hold an object.")
        known = {item.name for item in fields(cls)}
        for key in table:
            if key not in known:
                raise SidecarError(f"`{key}` is no key; known are {', '.join(sorted(known))}.")
        for key in ("image", "upstream"):
            if not isinstance(table.get(key), str) or not table[key]:
                raise SidecarError(f"`{key}` must be a text that is not empty.")
        for key, kind in _KINDS.items():
            if not isinstance(table.get(key, kind()), kind):
                raise SidecarError(f"`{key}` must be a JSON {_WORDS[kind]}.")
        for name, value in table.get("secrets", {}).items():
            if name not in SECRETS or not isinstance(value, str):
                raise SidecarError(f"`secrets` may name {', '.join(SECRETS)}, each a text.")
        if table.get("secrets", {}).get("shared") and not table["secrets"].get("seal-key"):
            raise SidecarError("`secrets.shared` needs `secrets.seal-key`, by which it is sealed.")
        for name, value in table.get("settings", {}).items():
            if not name.startswith("BLUECODE_") or not isinstance(value, str):
                raise SidecarError(f"`settings.{name}` must be a `BLUECODE_…` variable and a text.")
        return cls(**table)

    def container(self, wishes: "Wishes") -> dict[str, Any]:
        """The container for one pod."""
        container: dict[str, Any] = {
            "name": NAME,
            "image": self.image,
            "imagePullPolicy": self.pull_policy,
            "env": [{"name": name, "value": value} for name, value in self._env(wishes).items()],
            "ports": [{"name": "bluecode-health", "containerPort": HEALTH_PORT}],
            "startupProbe": _probe("/readyz", period=1, failures=120),
            "readinessProbe": _probe("/readyz", period=5, failures=2),
            "livenessProbe": _probe("/healthz", period=10, failures=3),
            "resources": dict(self.resources),
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER,
                "runAsGroup": USER,
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"},
            },
        }
        if mounts := self.mounts(wishes):
            container["volumeMounts"] = mounts
        if self.native:
            container["restartPolicy"] = "Always"
        else:
            # All containers are told to stop at once: the application may still ask for a while.
            pause = ["python", "-c", "import time; time.sleep(5)"]
            container["lifecycle"] = {"preStop": {"exec": {"command": pause}}}
        return container

    def _env(self, wishes: "Wishes") -> dict[str, str]:
        given = {
            "BLUECODE_UPSTREAM": wishes.upstream or self.upstream,
            "BLUECODE_LISTEN": f"127.0.0.1:{PORT}",
            "BLUECODE_HEALTH_LISTEN": f"0.0.0.0:{HEALTH_PORT}",
            "BLUECODE_DRAIN_TIMEOUT": str(self.drain),
            "BLUECODE_WORKERS": "1",
        }
        if wishes.policy:
            given["BLUECODE_POLICY"] = f"{POLICY_FOLDER}/policy.toml"
        if traces := self.traces if wishes.traces is None else wishes.traces:
            given["BLUECODE_TRACES"] = traces
        for name in self.secrets_for(wishes):
            setting = SECRETS[name].replace("-", "_").upper()
            given[f"BLUECODE_{setting}_FILE"] = f"{_folder(name)}/{SECRETS[name]}"
        return given | dict(self.settings)

    def secrets_for(self, wishes: "Wishes") -> dict[str, str]:
        """Names of the Secrets that one pod's sidecar reads."""
        told = {**self.secrets, **wishes.secrets}
        return {name: told[name] for name in SECRETS if told.get(name)}

    def mounts(self, wishes: "Wishes") -> list[dict[str, Any]]:
        folders = {f"bluecode-{name}": _folder(name) for name in SECRETS}
        folders["bluecode-policy"] = POLICY_FOLDER
        return [
            {"name": volume["name"], "mountPath": folders[volume["name"]], "readOnly": True}
            for volume in self.volumes(wishes)
        ]

    def volumes(self, wishes: "Wishes") -> list[dict[str, Any]]:
        """What the pod has to have for it."""
        volumes: list[dict[str, Any]] = []
        if wishes.policy:
            volumes.append({"name": "bluecode-policy", "configMap": {"name": wishes.policy}})
        for name, secret in self.secrets_for(wishes).items():
            # Read by the sidecar's user, whatever group the pod's volumes belong to.
            source = {"secretName": secret, "defaultMode": 0o444}
            volumes.append({"name": f"bluecode-{name}", "secret": source})
        return volumes


def _folder(name: str) -> str:
    return f"/etc/bluecode-{name}"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What one pod asks for by its annotations."""

    upstream: str = ""
    policy: str = ""
    """A ConfigMap of the pod's namespace with the key `policy.toml`."""
    traces: str | None = None
    """Another receiver; none where it is empty."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Other Secrets of the pod's namespace, by the names of `SECRETS`; none where it is empty."""


_KINDS: Final[Mapping[str, type]] = {
    "pull_policy": str,
    "native": bool,
    "traces": str,
    "secrets": dict,
    "settings": dict,
    "resources": dict,
    "drain": int,
}
_WORDS: Final[Mapping[type, str]] = {str: "string", bool: "boolean", dict: "object", int: "number"}


def _probe(path: str, *, period: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": HEALTH_PORT},
        "periodSeconds": period,
        "timeoutSeconds": 3,
        "failureThreshold": failures,
    }
