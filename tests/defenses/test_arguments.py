"""A call's arguments in every shape that a tool may take, and in those that hold no code."""

import json
from typing import Any

import pytest

from bluecode.defenses import carriers

CODE = "import os\nos.system(word)\n"
LINE = "import os; os.system(word)"
CELLS = {"cells": [{"cell_type": "code", "source": ["import os\n", "os.system(word)"]}]}
SCRIPTS = {"scripts": {"build": f"python3 -c '{LINE}'"}}
WORKFLOW = (
    "jobs:\n  a:\n    steps:\n      - run: |\n          python3 - <<'E'\n          import os\n"
    "          os.system(word)\n          E\n"
)


def nested(levels: int) -> Any:
    value: Any = {"content": CODE}
    for _ in range(levels):
        value = {"a": [value]}
    return value


SHAPES: dict[str, Any] = {
    "two spellings": f'{{"content": {json.dumps(CODE)}, "Content": "x = 1"}}',
    "two spellings of new text": f'{{"newString": {json.dumps(CODE)}, "new_string": "x"}}',
    "the same key twice": f'{{"content": {json.dumps(CODE)}, "content": "x = 1"}}',
    "control characters": f'{{"content": "{CODE}"}}',
    "file as an object": {"file": {"name": "a.py", "content": CODE}},
    "file as the text": {"filename": "a.py", "file": CODE},
    "files by path": {"files": {"a.py": "os.system(word)"}},
    "two paths": {"path": "a.md", "file_path": "a.py", "content": "os.system(word)"},
    "deep": nested(60),
    "encoded twice": json.dumps(json.dumps({"path": "a.py", "content": CODE})),
    "edits as text": {"path": "a.py", "edits": json.dumps([{"oldText": "a", "newText": CODE}])},
    "call as text": {"name": "w", "arguments": json.dumps({"content": CODE})},
    "lines": {"lines": ["import os", "os.system(word)"]},
    "expression": {"expression": "__import__('os').system(word)"},
    "one line": {"payload": LINE},
    "description": {"description": CODE},
    "one line as description": {"description": LINE},
    "search alone": {"search": CODE},
    "notebook": {"path": "a.ipynb", "content": json.dumps(CELLS)},
    "cell": {"notebook_path": "a.ipynb", "new_source": "os.system(word)"},
    "cell with its type": {"cell_type": "code", "new_source": "os.system(word)"},
    "code under a data file's name": {"path": "a.json", "content": CODE},
    "argument list": {"command": ["python3", "-c", LINE]},
    "argument list of a shell": {"command": ["bash", "-lc", f"python3 -c '{LINE}'"]},
    "program and arguments": {"command": "python3", "args": ["-c", LINE]},
    "scripts of a package": {"path": "package.json", "content": json.dumps(SCRIPTS)},
    "workflow": {"path": "a.yml", "content": WORKFLOW},
    "workflow in python": {"path": "a.yml", "content": f"- run: |\n    {LINE}\n  shell: python\n"},
    "compose": {"path": "a.yml", "content": f'command: ["python3", "-c", "{LINE}"]\n'},
    "fence in prose": {"result": f"Do this:\n```python\n{CODE}```\n"},
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_code_is_found_in_every_shape(shape: Any) -> None:
    carried = carriers.in_arguments(shape if isinstance(shape, str) else json.dumps(shape))
    assert not carried.unreadable
    assert any(
        item.language == "python" and "system(word)" in item.code for item in carried.snippets
    )


QUIET: list[dict[str, Any]] = [
    {"path": "src/a.py"},
    {"file_path": "/a/b.py", "offset": 3, "limit": 10},
    {"path": ".", "recursive": True, "glob": "**/*.py"},
    {"pattern": "os\\.system\\(", "path": "src", "include": "*.py"},
    {"query": "eval(input())"},
    {"regex": "def (\\w+)"},
    {"url": "https://example.org/a?b=c", "prompt": "What does this page say?"},
    {"todos": [{"content": "Write tests for the parser", "status": "pending", "id": "1"}]},
    {"plan": [{"step": "Mend main() again", "status": "done"}], "explanation": "I import it."},
    {"questions": [{"question": "Which one?", "options": ["a", "b"]}]},
]


@pytest.mark.parametrize("arguments", QUIET, ids=str)
def test_ordinary_calls_have_nothing_to_check(arguments: dict[str, Any]) -> None:
    carried = carriers.in_arguments(json.dumps(arguments))
    assert not carried.unreadable
    assert {item.language for item in carried.snippets} <= {"text"}


def test_the_text_that_an_edit_replaces_is_not_judged() -> None:
    edit = {"path": "a.py", "oldString": CODE, "newString": "x = 1"}
    carried = carriers.in_arguments(json.dumps(edit))
    assert [item.code for item in carried.snippets] == ["x = 1"]


def test_nesting_that_no_parser_follows_is_unreadable() -> None:
    assert carriers.in_arguments("[" * 100_000).unreadable


def test_texts_encoded_over_and_over_are_unreadable_in_the_end() -> None:
    text = json.dumps({"content": CODE})
    for _ in range(10):
        text = json.dumps([text])
    assert carriers.in_arguments(text).unreadable


@pytest.mark.parametrize("fence", ["```markdown\n", "~~~markdown\n"])
def test_markdown_within_markdown_ends_and_is_said_to_be_in_no_known_language(fence: str) -> None:
    assert [item.language for item in carriers.in_text(fence * 400)] == [None]


def test_files_named_at_every_depth_do_not_multiply_what_is_read() -> None:
    value: Any = {"path": "a.py", "file": "b.js", "content": CODE}
    for _ in range(60):
        value = {"path": "a.py", "file": "b.js", "filename": "c.rb", "x": value}
    carried = carriers.in_arguments(json.dumps(value))
    assert {item.path for item in carried.snippets} == {"a.py", "b.js"} and not carried.unreadable


def test_more_files_than_a_text_is_read_as_are_told() -> None:
    value = {"path": [], "files": {}, "content": CODE}
    names = ("a.py", "b.js", "c.rb", "d.go", "e.php")
    told = ",".join(f'"path": {json.dumps(name)}' for name in names)
    carried = carriers.in_arguments(f"{{{told}, {json.dumps(value)[1:]}")
    assert carried.unreadable and len(carried.snippets) == 4


@pytest.mark.parametrize(
    ("value", "codes"),
    [
        ({"code": "os.system(request.args['x'])"}, ["os.system(request.args['x'])"]),
        ({"result": {"script": "eval(input())", "score": 3}}, ["eval(input())"]),
        ({"code": "E1001", "message": "os.system(x) failed"}, []),
        ({"code": "not found (see the log)"}, []),
        ({"source": "open(path)", "body": "Call f(x) first."}, []),
        ({"code": "exec(cmd)", "path": "run.js"}, ["exec(cmd)"]),
    ],
)
def test_a_line_of_an_answer_in_json_is_code_where_its_key_says_so(
    value: Any, codes: list[str]
) -> None:
    whole, *rest = carriers.in_text(json.dumps(value))
    assert whole.language == "json"
    assert [snippet.code for snippet in rest] == codes
