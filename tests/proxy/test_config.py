"""One file, the environment, flags: who wins, what stops the start, what never shows."""

from dataclasses import fields
from pathlib import Path

import pytest

from bluecode.proxy.config import SETTINGS, Config, ConfigError, Secret, UpstreamConfig, key_of


def write(folder: Path, text: str) -> Path:
    path = folder / "bluecode.toml"
    path.write_text(text, encoding="utf-8")
    return path


def load(path: Path | None = None, **environ: str) -> Config:
    return Config.load(path, environ=environ)


def test_without_any_source_the_proxy_listens_on_loopback_only() -> None:
    config = load()

    assert (config.host, config.port) == ("127.0.0.1", 8787)
    assert config.upstream == ""
    assert config.upstream_key is None


def test_every_field_is_a_key_of_the_file() -> None:
    assert {item.name for item in fields(Config)} <= set(SETTINGS)


def test_flags_win_over_environment_which_wins_over_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, 'log_level = "error"\nlisten = "127.0.0.1:1"\nheld_limit = 5000\n')
    environ = {"BLUECODE_LISTEN": "127.0.0.1:2", "BLUECODE_HELD_LIMIT": "6000"}

    config = Config.load(path, environ=environ, flags={"listen": "127.0.0.1:3", "audit": None})

    assert (config.port, config.held_limit, config.log_level) == (3, 6000, "error")


def test_the_file_may_be_named_in_the_environment(tmp_path: Path) -> None:
    path = write(tmp_path, "workers = 3")

    assert load(BLUECODE_CONFIG=str(path)).workers == 3


@pytest.mark.parametrize(
    ("given", "host", "port"),
    [
        ("9000", "127.0.0.1", 9000),
        (":9000", "127.0.0.1", 9000),
        ("0.0.0.0:80", "0.0.0.0", 80),
        ("[::1]:8787", "::1", 8787),
        ("localhost:0", "localhost", 0),
    ],
)
def test_an_address_may_be_written_in_several_ways(given: str, host: str, port: int) -> None:
    config = load(BLUECODE_LISTEN=given)

    assert (config.host, config.port) == (host, port)


def test_paths_in_a_file_are_meant_from_where_the_file_lies(tmp_path: Path) -> None:
    config = load(write(tmp_path, 'policy = "strict.toml"\naudit = "audit.jsonl"\n'))

    assert config.policy == tmp_path / "strict.toml"
    assert config.audit == str(tmp_path / "audit.jsonl")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("upstraem = 'demo'", "`upstraem` in .* is no setting; the nearest is `upstream`"),
        ("[listen]\nport = 1", "`listen` in .* is a dict; it must be a text"),
        ("workers = true", "whole number from 1 to 256"),
        ("workers = 0", "`workers` in .* is 0"),
        ("workers = 1.5", "is 1.5"),
        ("keep_alive = -1", "seconds"),
        ("log_level = 'loud'", "'loud'; it must be one of debug, info, warning, error"),
        ("listen = 'here'", "127.0.0.1:8787"),
        ("listen = '127.0.0.1:70000'", "127.0.0.1:8787"),
        ("upstream = 'api.example.com/v1'", "must be a URL"),
        ("upstream = 'localhost:11434/v1'", "must be a URL"),
        ("upstream = 'ftp://example.com'", "begin with http"),
        ("upstream = 'https://a.example/v1/chat/completions'", "alone: https://a.example/v1"),
        ("upstream = 'https://a.example/v1?key=1'", "bare API root"),
        ("proxy_keys = {}", "at least one key"),
        ("[proxy_keys]\n'a b' = 'k'", "a name that is not"),
        ("upstream_key = 'a'\nupstream_key_file = 'b'", "cannot be read|keep one"),
        ('upstream_key = "a\\nb"', "no HTTP header can carry"),
        ("not toml", "not valid TOML"),
    ],
)
def test_a_setting_that_cannot_be_used_stops_the_start_and_says_why(
    tmp_path: Path, text: str, told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        load(write(tmp_path, text))


@pytest.mark.parametrize(
    ("name", "told"),
    [("BLUECODE_UPSTRAEM", "the nearest is `BLUECODE_UPSTREAM`"), ("BLUECODE_PORT", "no setting")],
)
def test_an_unknown_variable_stops_the_start(name: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load(**{name: "9000"})


def test_what_kubernetes_sets_for_a_service_of_our_name_is_left_aside() -> None:
    config = load(
        BLUECODE_PORT="tcp://10.0.0.1:8787",
        BLUECODE_PORT_8787_TCP_ADDR="10.0.0.1",
        BLUECODE_SERVICE_HOST="10.0.0.1",
    )

    assert config.port == 8787


@pytest.mark.parametrize(
    "given",
    ["demo", "https://api.example.com/v1", "http://127.0.0.1:1234/v1", "anthropic/claude-x"],
)
def test_every_kind_of_upstream_is_accepted(given: str) -> None:
    assert load(BLUECODE_UPSTREAM=given).upstream == given


def test_keys_may_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-upstream\n", encoding="utf-8")
    (tmp_path / "keys").write_text("alice:one\nbob:two\n", encoding="utf-8")
    path = write(tmp_path, 'upstream_key_file = "key"\nproxy_keys_file = "keys"\n')

    config = load(path)

    assert config.upstream_key == Secret("sk-upstream")
    assert config.name_of("two") == "bob"


def test_a_key_and_the_file_that_holds_it_are_not_both_accepted(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-1", encoding="utf-8")
    path = write(tmp_path, 'upstream_key = "sk-2"\nupstream_key_file = "key"\n')

    with pytest.raises(ConfigError, match="keep one"):
        load(path)


def test_a_key_in_the_environment_wins_over_one_in_a_file_of_the_config(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-file", encoding="utf-8")
    path = write(tmp_path, 'upstream_key_file = "key"')

    config = load(path, BLUECODE_UPSTREAM_KEY="sk-environment")

    assert config.upstream_key == Secret("sk-environment")


def test_a_client_is_known_by_its_key_alone() -> None:
    config = load(BLUECODE_PROXY_KEYS="alice:one,bob:two")

    assert config.name_of("one") == "alice"
    assert config.name_of("three") is None
    assert config.name_of("") is None
    assert config.name_of("ключ\udc80") is None


def test_keys_never_show_in_a_repr_or_an_error(tmp_path: Path) -> None:
    config = load(BLUECODE_UPSTREAM_KEY="sk-hidden", BLUECODE_PROXY_KEYS="alice:also-hidden")

    assert "hidden" not in repr(config) + str(config.proxy_keys)
    with pytest.raises(ConfigError) as raised:
        load(write(tmp_path, 'upstream_key = "hidden\\u0001"'))
    assert "hidden" not in str(raised.value)


JUDGE = 'model = "m", base_url = "https://judge.example/v1/", uncertain = [0.2, 0.8]'


def test_a_judge_is_a_table_in_the_file_or_its_inside_in_the_environment(tmp_path: Path) -> None:
    (tmp_path / "judge.key").write_text("sk-judge\n", encoding="utf-8")
    lines = "[judge]\n" + JUDGE.replace(", b", "\nb").replace(", u", "\nu")
    config = load(write(tmp_path, f'{lines}\napi_key_file = "judge.key"\nmode = "faithful"'))

    assert config.judge is not None
    assert (config.judge.base_url, config.judge.mode) == ("https://judge.example/v1", "faithful")
    assert config.judge.api_key == Secret("sk-judge") and "sk-judge" not in repr(config)
    for given in (JUDGE, f"{{{JUDGE}}}"):
        judge = load(BLUECODE_JUDGE=given).judge
        assert judge is not None and judge.uncertain == (0.2, 0.8)
    assert load().judge is None


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ('base_url = "https://judge.example"', "names a model"),
        ('model = "m", modell = 1', "the nearest is `model`"),
        ('model = "m", uncertain = [0.9, 0.1]', "the lower first"),
        ('model = "m", uncertain = [0.1, true]', "the lower first"),
        ('model = "m", uncertain = 0.5', "the lower first"),
        ('model = "m", mode = "quick"', "fast, faithful"),
        ('model = "m", per_minute = 0', "whole number"),
        ('model = "m", base_url = "judge.example"', "http://"),
        ("model", "must hold settings"),
    ],
)
def test_a_judge_that_cannot_be_used_is_told(given: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load(BLUECODE_JUDGE=given)


UPSTREAMS = """
[[upstreams]]
name = "main"
upstream = "https://api.example.com/v1"
key_file = "key"
models = ["gpt-*"]
aliases = { fast = "gpt-mini" }
protocols = ["openai"]
fallbacks = ["spare"]

[[upstreams]]
name = "spare"
upstream = "anthropic/*"
key_env = "SPARE_KEY"
"""


def test_several_upstreams_are_read_from_tables(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-1\n", encoding="utf-8")
    first, second = load(write(tmp_path, UPSTREAMS)).upstreams

    assert (first.name, first.upstream) == ("main", "https://api.example.com/v1")
    assert (first.key, first.models, first.fallbacks) == (Secret("sk-1"), ("gpt-*",), ("spare",))
    assert first.aliases == {"fast": "gpt-mini"} and first.protocols == ("openai",)
    assert second.by_litellm and second.key_env == "SPARE_KEY"


def test_several_upstreams_may_stand_in_the_environment() -> None:
    told = '[{name = "a", upstream = "demo", models = ["x"]}]'

    assert [one.name for one in load(BLUECODE_UPSTREAMS=told).upstreams] == ["a"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("upstreams = []", "1 to 32 tables"),
        ('[[upstreams]]\nname = "a"', "a `name` and an `upstream`"),
        ('[[upstreams]]\nname = "a b"\nupstream = "demo"', "1-40 letters"),
        ('[[upstreams]]\nname = "default"\nupstream = "demo"', "taken"),
        ('[[upstreams]]\nname = "a"\nupstream = "demo"\nmodel = ["x"]', "nearest is `models`"),
        ('[[upstreams]]\nname = "a"\nupstream = "demo"\nmodels = "x"', "a list of one name"),
        ('[[upstreams]]\nname = "a"\nupstream = "demo"\nprotocols = ["http"]', "known are openai"),
        ('[[upstreams]]\nname = "a"\nupstream = "demo"\nfallbacks = ["a"]', "no other of them"),
        ('[[upstreams]]\nname = "a"\nupstream = "demo"\nfallbacks = ["b"]', "no other of them"),
        ('[[upstreams]]\nname = "a"\nupstream = "demo"\naliases = {}', "must be a table"),
        ('[[upstreams]]\nname = "a"\nupstream = "demo"\nkey_env = "K"\nkey_file = "k"', "keep one"),
    ],
)
def test_upstreams_that_cannot_be_used_stop_the_start(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load(write(tmp_path, text))


def test_the_variable_of_a_key_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    one = UpstreamConfig(name="a", upstream="demo", key_env="SPARE_KEY")
    monkeypatch.setenv("SPARE_KEY", "k")
    assert key_of(one) == "k"
    monkeypatch.delenv("SPARE_KEY")
    with pytest.raises(ConfigError, match="`SPARE_KEY`.*is not set"):
        key_of(one)
