"""Which assistant a request comes from, and which kind of model it asks: each a family of a closed
list, since it labels metrics.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

_FAMILIES = (
    ("continue", "continue"),
    ("copilot", "copilot"),
    ("opencode", "opencode"),
    ("kilo", "kilo"),
    ("cline", "cline"),
    ("qwen", "qwen"),
    ("aider", "aider"),
    ("claude-cli", "claude-code"),
    ("claude-code", "claude-code"),
    ("codex", "codex"),
    ("gptme", "gptme"),
    ("mini-swe-agent", "mini-swe-agent"),
    ("smolagents", "smolagents"),
    ("zed/", "zed"),
    ("roocode", "roo"),
    ("roo-code", "roo"),
    ("ollama", "ollama"),
    ("open-interpreter", "open-interpreter"),
    ("geminicli", "gemini-cli"),
    ("google-genai-sdk", "google-genai"),
    ("anthropic/python", "anthropic-python"),
    ("asyncanthropic/python", "anthropic-python"),
    ("anthropic/js", "anthropic-js"),
    ("litellm", "litellm"),
    ("pydantic-ai", "pydantic-ai"),
    ("langchain", "langchain"),
    ("ai-sdk", "ai-sdk"),
    ("openai/python", "openai-python"),
    ("asyncopenai/python", "openai-python"),
    ("openai/js", "openai-js"),
    ("curl", "curl"),
)
"""What a header says, the more telling first."""
_SDKS = frozenset({"openai-python", "openai-js", "ai-sdk", "litellm", "other"})
"""What many assistants are made with: there the tools tell more."""
_TOOLS: Mapping[str, frozenset[str]] = {
    "cline": frozenset({"read_files", "run_commands"}),
    "roo": frozenset({"attempt_completion", "apply_diff"}),
    "continue": frozenset({"MultiEdit", "Checklist"}),
    "copilot": frozenset({"read_bash", "stop_bash"}),
    "gptme": frozenset({"save", "patch_many"}),
    "pi": frozenset({"read", "bash", "edit", "write"}),
    "smolagents": frozenset({"final_answer"}),
    "open-interpreter": frozenset({"execute"}),
}
"""Tools that an assistant offers, all of them; where only those are named, it offers no others."""
_MODELS: Mapping[str, str] = {
    "claude": "claude",
    "gpt": "gpt",
    "chatgpt": "gpt",
    "o[1-9]": "openai-o",
    "gemini": "gemini",
    "gemma": "gemma",
    "llama": "llama",
    "codellama": "llama",
    "qwen": "qwen",
    "qwq": "qwen",
    "mistral": "mistral",
    "ministral": "mistral",
    "mixtral": "mistral",
    "codestral": "mistral",
    "devstral": "mistral",
    "deepseek": "deepseek",
    "kimi": "kimi",
    "glm": "glm",
    "grok": "grok",
    "command": "command",
    "phi": "phi",
    "granite": "granite",
    "starcoder": "starcoder",
    "nova": "nova",
    "minimax": "minimax",
    "demo": "demo",
}
"""How the name of a model begins, behind that of its provider."""
_MODEL = re.compile(rf"(?:^|[/:.@-])({'|'.join(sorted(_MODELS, key=len, reverse=True))})(?![a-z])")
_LONGEST = 2_000
"""Characters of headers that are looked at."""
_ONLY = frozenset({"pi", "open-interpreter"})
_MOST = 64
"""Tools that are looked at."""


def family_of(headers: Mapping[str, str]) -> str:
    """The client's family, from a closed list: it is a metric label."""
    told = " ".join([headers.get(name, "") for name in ("user-agent", "x-title", "originator")])
    return _family_in(told[:_LONGEST])


@lru_cache(maxsize=256)
def _family_in(told: str) -> str:
    """A client says the same of itself with every request."""
    told = told.lower()
    return next((family for sign, family in _FAMILIES if sign in told), "other")


def by_tools(family: str, payload: Mapping[str, Any]) -> str:
    """The family that the tools tell, where the headers name nothing but an SDK."""
    tools = payload.get("tools")
    if family not in _SDKS or not isinstance(tools, list):
        return family
    names = set(_names(tools[:_MOST]))
    return next(
        (
            name
            for name, known in _TOOLS.items()
            if known <= names and (name not in _ONLY or known == names)
        ),
        family,
    )


def _names(tools: list[Any]) -> Iterator[str]:
    for tool in tools:
        if not isinstance(tool, dict):
            continue
        own = tool.get("function") or tool.get("custom") or tool
        name = own.get("name") if isinstance(own, dict) else None
        if isinstance(name, str):
            yield name


@lru_cache(maxsize=512)
def model_family(name: str) -> str:
    """The family of a model by its name; `other` for a name of none, `none` for no name."""
    if not name:
        return "none"
    if (found := _MODEL.search(name[:200].lower())) is None:
        return "other"
    return next(family for begin, family in _MODELS.items() if re.fullmatch(begin, found[1]))
