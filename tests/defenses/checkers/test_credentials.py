"""Secrets in any text, and what only looks like one."""

import string

import pytest

from bluecode.defenses.checkers.credentials import Credentials, find, plausible, url_password
from bluecode.defenses.conversation import Snippet

MIXED = "Zq8Kf2mLx9Rw4Tn7Vb3Hd6Jp5Yc0Gs1AeUiQw9E"
"""Letters and digits as a real key has them; no key of anybody."""


def found(code: str, language: str | None = "javascript") -> set[str]:
    findings = find(Snippet(code=code, language=language, origin="fence"))
    return {finding.rule for finding in findings if finding.score >= 0.5}


KEYS = {
    "aws": "AKIA" + "Q7RZ2XW5NDKV3LTM",
    "github": "ghp_" + MIXED,
    "slack": "xoxb-" + MIXED,
    "stripe": "sk_live_" + MIXED[:26],
    "google": "AIza" + MIXED[:35],
    "token": ".".join(("eyJ" + MIXED[:20], "eyJ" + MIXED[5:30], MIXED[:30])),
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("language", ["python", "go", None])
def test_keys_of_known_services_are_found_in_any_language(key: str, language: str | None) -> None:
    assert found(f'client("{key}")', language) == {"credentials.known_key"}


def test_a_private_key_is_found_and_its_header_alone_is_not() -> None:
    header = "-----BEGIN RSA " + "PRIVATE KEY-----"

    assert found(f"key = `{header}\n{MIXED * 2}\n`") == {"credentials.private_key"}
    assert found(f'if text.startswith("{header}"):') == set()


@pytest.mark.parametrize(
    "code",
    [
        f'const apiKey = "{MIXED}"',
        f'"client_secret": "{MIXED}"',
        f"password := `{MIXED}`",
        f'String dbPassword = "{MIXED}";',
        f'const API_KEY: &str = "{MIXED}";',
        f'const apiKey: string = "{MIXED}"',
        f'var jwtKey = []byte("{MIXED}")',
    ],
)
def test_a_random_constant_under_a_secret_name_is_found(code: str) -> None:
    assert found(code) == {"credentials.assigned"}


@pytest.mark.parametrize(
    ("password", "rules"),
    [
        (MIXED[:12], {"credentials.connection"}),
        ("{password}", set()),
        ("your_password", set()),
        ("", set()),
    ],
)
def test_a_password_in_the_settings_of_a_connection_is_found(
    password: str, rules: set[str]
) -> None:
    text = f'var c = "Server=db01;Database=Shop;User Id=app;Password={password};";'

    assert found(text, "csharp") == rules


@pytest.mark.parametrize(
    "code",
    [
        "const apiKey = process.env.API_KEY",
        'const apiKey = "YOUR_API_KEY_HERE"',
        'const password = "<password>"',
        'const tokenUrl = "https://auth.example.org/oauth/token"',
        'token: "${{ secrets.TOKEN }}"',
        '"x-api-key": "Bearer sk-1234"',
        'const passwordLabel = "Enter your password"',
        'const SECRET = "SECRET_MANAGER_NAME"',
        'key = "AKIAIOSFODNN7EXAMPLE"',
        'sha = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"',
    ],
)
def test_placeholders_names_and_hashes_are_left_alone(code: str) -> None:
    assert found(code) == set()


@pytest.mark.parametrize(
    ("address", "secret"),
    [
        ("postgres://shop:Gr4nite7@db/shop", True),
        ("postgres://user:password@localhost/db", False),
        ("postgres://{user}:{password}@db/shop", False),
        ("https://example.org/a:b@c", False),
        ("redis://localhost:6379/0", False),
    ],
)
def test_addresses_with_passwords(address: str, secret: bool) -> None:
    assert url_password(address) is secret


def test_plausibility_rises_with_variety() -> None:
    assert 0 < plausible("password", "sunflower") < plausible("password", MIXED)
    assert plausible("password", "changeme") == plausible("password", "password") == 0
    assert plausible("alphabet_token", string.ascii_lowercase[:3]) == 0


def test_it_reads_any_language_but_settles_none() -> None:
    assert Credentials().languages == {"*"}


@pytest.mark.parametrize("value", ["EMPTY", "ollama", "lm-studio", "not-needed", "token-abc123"])
def test_what_servers_on_the_same_machine_take_for_a_key_is_none(value: str) -> None:
    assert plausible("api_key", value) < 0.5
