"""Who may import whom: `proxy`, `defenses`, `sandbox`; and each heavy library in one place."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ALLOWED = {
    "proxy": {"proxy", "defenses", "sandbox"},
    "defenses": {"defenses", "sandbox"},
    "sandbox": {"sandbox"},
    "deploy": {"deploy"},
}
HOMES = {
    "nacl": "proxy/capture_keys.py",
    "litellm": "proxy/upstream.py",
    "pg8000": "proxy/database.py",
    "prometheus_client": "proxy/metrics.py",
    "opentelemetry": "proxy/tracing.py",
    "redis": "proxy/shared.py",
    "wasmtime": "sandbox/wasm.py",
}
"""Libraries that one file alone imports."""
BESIDE = {"sandbox/linking.py": "wasmtime"}
"""The part of such a home that would make it too long."""

PROVIDERS = {"aiohttp", "starlette", "uvicorn", "openai", "httpx", "requests", "urllib3"}
"""HTTP and providers: the affair of the proxy, and of the webhook in `deploy`."""

GUESTS = ROOT / "sandbox" / "guests" / "python"
MODULES = [
    path
    for package in ALLOWED
    for path in sorted((ROOT / package).rglob("*.py"))
    if GUESTS not in path.parents  # runs inside the guest, where there is no bluecode
]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every imported module, with the level of a relative import."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "bluecode":
            yield from ((node.level, f"bluecode.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or ""


def test_there_are_modules_to_look_at() -> None:
    assert {name_of(path).partition("/")[0] for path in MODULES} == set(ALLOWED)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_what_its_layer_may(path: Path) -> None:
    layer = name_of(path).partition("/")[0]
    for level, module in imports(path):
        top, _, rest = module.partition(".")
        assert level == 0, "write imports in full"
        if top == "bluecode":
            assert rest.partition(".")[0] in ALLOWED[layer]
        assert layer in ("proxy", "deploy") or top not in PROVIDERS


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_heavy_library_is_imported_in_its_one_home(path: Path) -> None:
    for _, module in imports(path):
        library = module.partition(".")[0]
        assert HOMES.get(library) in (None, name_of(path)) or BESIDE.get(name_of(path)) == library


@pytest.mark.parametrize(("library", "home"), HOMES.items())
def test_each_home_is_lived_in(library: str, home: str) -> None:
    assert library in {module.partition(".")[0] for _, module in imports(ROOT / home)}
