"""The label of the assistant that asks: from a closed list, by headers and by tools."""

import pytest

from bluecode.proxy.families import by_tools, family_of


@pytest.mark.parametrize(
    ("agent", "family"),
    [
        ("claude-cli/2.1.197 (external, sdk-cli)", "claude-code"),
        ("codex_exec/0.169.0 (Debian 12.0.0; x86_64)", "codex"),
        ("GeminiCLI-tui/0.61.0/gemini-2.5-pro (linux; x64)", "gemini-cli"),
        ("QwenCode/0.15.10 (linux; x64)", "qwen"),
        ("opencode/1.18.33 ai-sdk/provider-utils/4.0.23", "opencode"),
        ("OpenAI/Python 3.54.0", "openai-python"),
        ("something of somebody's", "other"),
    ],
)
def test_a_header_names_the_family(agent: str, family: str) -> None:
    assert family_of({"user-agent": agent}) == family


def named(*names: str) -> dict[str, object]:
    return {"tools": [{"type": "function", "function": {"name": name}} for name in names]}


def test_tools_tell_apart_what_is_made_with_the_same_sdk() -> None:
    assert by_tools("ai-sdk", named("read_files", "run_commands", "editor")) == "cline"
    assert by_tools("openai-python", named("save", "append", "patch_many")) == "gptme"
    assert by_tools("openai-js", named("read", "bash", "edit", "write")) == "pi"
    assert by_tools("openai-js", named("read", "bash", "edit", "write", "x")) == "openai-js"


def test_a_header_that_names_the_assistant_is_believed() -> None:
    assert by_tools("opencode", named("read", "bash", "edit", "write")) == "opencode"


@pytest.mark.parametrize("tools", [None, {}, "x", [None, 3, {"function": 4}, {"name": []}]])
def test_tools_in_no_form_tell_nothing(tools: object) -> None:
    assert by_tools("other", {"tools": tools}) == "other"
