"""The scripted model writes files by whichever tool an assistant offers."""

import json
from typing import Any

import pytest

from bluecode.proxy.scripted import answer_to
from bluecode.proxy.scripted_tools import file_call, folder_in

CODE = "x = 1\n"


def function(name: str, **properties: Any) -> dict[str, Any]:
    parameters = {"properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


WRITE = function("write", filePath={}, content={})
PATCH = function("apply_patch", input={})
CUSTOM = {"type": "custom", "custom": {"name": "apply_patch"}}
RUN = function("execute", language={}, code={})
SHELL = function("bash", command={"type": "string"}, description={})
SHELLS = function("run_commands", commands={"type": "array"})


def test_a_tool_made_for_files_comes_first() -> None:
    call = file_call([SHELL, PATCH, WRITE], "app/a.py", CODE)
    assert call is not None and call.tool == "write"
    assert json.loads(call.arguments) == {"filePath": "app/a.py", "content": CODE}


@pytest.mark.parametrize(
    ("tool", "key"), [(PATCH, "input"), (RUN, "code"), (SHELL, "command"), (SHELLS, "commands")]
)
def test_other_tools_get_the_code_in_their_own_form(tool: dict[str, Any], key: str) -> None:
    call = file_call([tool], "app/a.py", CODE)
    assert call is not None
    given = json.loads(call.arguments)
    assert set(given) == set(tool["function"]["parameters"]["required"])
    assert "app/a.py" in str(given[key]) and "x = 1" in str(given[key])


def test_a_custom_tool_gets_the_patch_as_it_is() -> None:
    call = file_call([CUSTOM], "app/a.py", CODE)
    assert call is not None and call.custom
    assert call.arguments.splitlines()[:3] == [
        "*** Begin Patch",
        "*** Add File: app/a.py",
        "+x = 1",
    ]


def test_no_tool_for_files_no_call() -> None:
    assert file_call([function("search", query={}), "x", {}], "app/a.py", CODE) is None


def test_the_folder_is_the_last_one_that_the_assistant_says_it_works_in() -> None:
    told = "Working directory: /example/one\n… I'm currently working in the directory: /home/a/b\n"
    assert folder_in(told) == "/home/a/b"
    assert folder_in("no folder") == ""


def test_a_tool_that_wants_whole_paths_gets_one() -> None:
    tool = function("write", path={"description": "An absolute path."}, content={})
    call = file_call([tool], "app/a.py", CODE, "/home/a")
    assert call is not None and json.loads(call.arguments)["path"] == "/home/a/app/a.py"


def test_who_asks_to_be_shown_code_gets_it_as_text() -> None:
    request = [{"role": "user", "content": "Show me a database lookup by name."}]
    assert answer_to(request, [WRITE]).tool is None
    assert answer_to([{**request[0], "content": "Add a database lookup."}], [WRITE]).tool == "write"


def test_who_reads_edits_out_of_text_gets_them() -> None:
    manual = {"role": "system", "content": "Answer with *SEARCH/REPLACE* blocks."}
    said = answer_to([manual, {"role": "user", "content": "Add a database lookup."}]).text
    assert said.startswith("app/users.py\n```python\n<<<<<<< SEARCH\n=======\n")
