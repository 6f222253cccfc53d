"""The compose file: what it mounts exists, what it sets is known, nothing faces the world."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from prometheus import needs_prometheus, promtool

from bluecode.proxy import serving as served
from bluecode.proxy.config import Config

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


def read(*path: str) -> Any:
    return yaml.safe_load(DEPLOY.joinpath(*path).read_text("utf-8"))


SERVICES: dict[str, dict[str, Any]] = read("compose.yaml")["services"]
SHARED: dict[str, dict[str, Any]] = read("compose.shared.yaml")["services"]
ALL = {**SHARED, **SERVICES}


@pytest.mark.parametrize("name", ALL)
def test_a_service_is_pinned_has_no_privileges_and_faces_this_machine_alone(name: str) -> None:
    service = ALL[name]
    tag = service["image"].partition(":")[2]

    assert "build" in service or tag not in ("", "latest")
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_mounts_is_there_and_read_only(name: str) -> None:
    volumes = read("compose.yaml")["volumes"]
    for mount in SERVICES[name]["volumes"]:
        source, _, rest = mount.partition(":")
        if source not in volumes:
            assert (DEPLOY / source).exists() and rest.endswith(":ro"), mount


def test_bluecode_has_a_read_only_root_and_settings_that_it_knows() -> None:
    service = SERVICES["bluecode"]
    given = {name: str(value) for name, value in service["environment"].items()}

    config = Config.load(environ=given | {"BLUECODE_UPSTREAM": "demo"})

    assert service["read_only"] is True
    assert str(config.policy) == "/etc/bluecode/policy.toml"
    assert int(service["stop_grace_period"].removesuffix("s")) > config.drain_timeout


def test_what_replicas_share_is_reached_by_settings_that_bluecode_knows() -> None:
    text = DEPLOY.joinpath("compose.shared.yaml").read_text("utf-8")
    told = yaml.safe_load(re.sub(r"\$\{(\w+)[^}]*\}", "word", text))["services"]
    given = {**told["bluecode"]["environment"], "BLUECODE_UPSTREAM": "demo"}

    config = Config.load(environ=given)

    served._look_ahead(config)
    assert config.shared is not None and config.database == config.audit_database is not None
    for address in (config.shared, config.database):
        parts = urlsplit(address.get())
        assert parts.hostname in told and parts.password == "word"
    postgres = told["postgres"]["environment"]
    name, user = urlsplit(config.database.get()).path[1:], urlsplit(config.database.get()).username
    assert (postgres["POSTGRES_DB"], postgres["POSTGRES_USER"]) == (name, user)
    assert "word" in told["redis"]["command"] and set(told["bluecode"]["depends_on"]) <= told.keys()
    assert all(not told[service].get("ports") for service in ("redis", "postgres"))


def test_what_must_be_set_has_no_default() -> None:
    text = DEPLOY.joinpath("compose.shared.yaml").read_text("utf-8")

    assert ":-" not in text
    for name in ("SEAL_KEY", "SHARED_PASSWORD"):
        assert f"${{{name}:?" in text


def test_grafana_finds_prometheus_and_the_dashboard() -> None:
    (source,) = read("grafana", "provisioning", "datasources", "bluecode.yaml")["datasources"]
    (provider,) = read("grafana", "provisioning", "dashboards", "bluecode.yaml")["providers"]
    mounts = [mount.split(":")[1] for mount in SERVICES["grafana"]["volumes"]]

    assert source["url"] == "http://prometheus:9090"
    assert any(mount.startswith(provider["options"]["path"] + "/") for mount in mounts)
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home in mounts


def test_prometheus_scrapes_bluecode_where_it_listens() -> None:
    (job,) = read("prometheus", "prometheus.yml")["scrape_configs"]
    ports = [port.rpartition(":")[2] for port in SERVICES["bluecode"]["ports"]]

    assert job["static_configs"] == [{"targets": [f"bluecode:{port}" for port in ports]}]


@needs_prometheus
def test_prometheus_takes_its_settings() -> None:
    told = promtool("check", "config", str(DEPLOY / "prometheus" / "prometheus.yml"))

    assert told.returncode == 0, told.stderr
