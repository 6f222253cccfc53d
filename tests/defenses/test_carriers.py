"""Assistants wrap code in many things; what is inside is what gets checked."""

import json
from typing import Any

import pytest

from bluecode.defenses import carriers

PATCH = """*** Begin Patch
*** Add File: new.py
+import os
*** Update File: app/old.py
@@ def f
 kept()
-gone()
+added()
*** End Patch"""
DIFF = "diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -1,2 +1,2 @@\n-a = 1\n+a = 2\n b = 3\n"


def codes(snippets: tuple[carriers.Snippet, ...]) -> list[tuple[str | None, str | None, str]]:
    return [(item.language, item.path, item.code.strip()) for item in snippets]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("```python\nx = f()\n```", [("python", None, "x = f()")]),
        ("```\nimport os\n```", [("python", None, "import os")]),
        ("```\nhello world\n```", [(None, None, "hello world")]),
        ("```save src/a.py\nx = 1\n```", [("python", "src/a.py", "x = 1")]),
        ("```python:src/a.py\nx = 1\n```", [("python", "src/a.py", "x = 1")]),
        ("**src/a.go**\n```\npackage x\n```", [("go", "src/a.go", "package x")]),
        (
            "```text\ndef f(x):\n    return g(x)\n```",
            [("python", None, "def f(x):\n    return g(x)")],
        ),
        ("```js\nfoo(1)\n```", [("javascript", None, "foo(1)")]),
        ("```markdown\n```py\nx = 1\n```\n```", [("python", None, "x = 1")]),
        (
            "app.py\n```python\n<<<<<<< SEARCH\na = 1\n=======\na = 2\n>>>>>>> REPLACE\n```",
            [("python", "app.py", "a = 2")],
        ),
        (PATCH, [("python", "new.py", "import os"), ("python", "app/old.py", "kept()\nadded()")]),
        (f"```diff\n{DIFF}```", [("python", "x.py", "a = 2\nb = 3")]),
    ],
)
def test_the_snippets_of_an_answer(
    text: str, expected: list[tuple[str | None, str | None, str]]
) -> None:
    assert codes(carriers.in_text(text)) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"path": "a.py", "content": "x = 1"}, [("python", "a.py", "x = 1")]),
        ({"filePath": "a.py", "newString": "x", "oldString": "y"}, [("python", "a.py", "x")]),
        (
            {"file_path": "b.ts", "edits": [{"new_string": "let x = 1"}]},
            [("typescript", "b.ts", "let x = 1")],
        ),
        ({"language": "python", "code": "1 + 1"}, [("python", None, "1 + 1")]),
        (
            {"input": PATCH},
            [("python", "new.py", "import os"), ("python", "app/old.py", "kept()\nadded()")],
        ),
        ({"commands": ["ls", "pwd"]}, [("bash", None, "ls"), ("bash", None, "pwd")]),
        ({"file": "a.py", "line": 3}, []),
        (
            {"command": "python3 - <<'EOF'\nimport os\nEOF"},
            [("bash", None, "python3 - <<'EOF'\nimport os\nEOF"), ("python", None, "import os")],
        ),
        (
            {"cmd": "cat > src/x.py <<EOF\na = 1\nEOF\nls"},
            [
                ("bash", None, "cat > src/x.py <<EOF\na = 1\nEOF\nls"),
                ("python", "src/x.py", "a = 1"),
            ],
        ),
        (
            {"command": "python -c 'import os; os.getcwd()'"},
            [
                ("bash", None, "python -c 'import os; os.getcwd()'"),
                ("python", None, "import os; os.getcwd()"),
            ],
        ),
    ],
)
def test_the_snippets_of_tool_arguments(
    arguments: dict[str, Any], expected: list[tuple[str | None, str | None, str]]
) -> None:
    carried = carriers.in_arguments(json.dumps(arguments))
    assert codes(carried.snippets) == expected
    assert not carried.unreadable


def test_broken_arguments_are_read_as_text_and_said_to_be_unreadable() -> None:
    carried = carriers.in_arguments('{"content": "import os')
    assert carried.unreadable
    assert "import os" in carried.snippets[0].code


def test_deeply_nested_arguments_end() -> None:
    carried = carriers.in_arguments('{"a":' * 500 + "1" + "}" * 500)
    assert (carried.snippets, carried.unreadable) == ((), False)


CALL = json.dumps(
    {"name": "write", "arguments": {"path": "a.py", "content": "import os\nos.abort()\n"}}
)
WRITTEN_CALLS = [
    f"<tool_call>\n{CALL}\n</tool_call>",
    f"```json\n{CALL}\n```",
    f"```\n{CALL}\n```",
]


@pytest.mark.parametrize("text", WRITTEN_CALLS)
def test_a_call_that_is_written_out_as_text_is_read_as_a_call(text: str) -> None:
    found = [(item.language, item.path) for item in carriers.in_text(text)]
    assert found == [("python", "a.py")]


def test_plain_data_in_a_fence_stays_data() -> None:
    (snippet,) = carriers.in_text('```json\n{"input": "x", "size": 3}\n```\n')
    assert snippet.language == "json"
