"""Code as assistants write it into answers: found, read whole, and nothing else taken for it."""

import ast
import json
import textwrap

import pytest

from bluecode.defenses import carriers, language
from bluecode.defenses.snippets import SnippetExtractor

CODE = """\
import os


def convert(name):
    os.system("convert " + name)
"""
SECOND = "import sys\n\n\ndef leave():\n    sys.exit(3)\n"


def added(code: str) -> str:
    return "".join(f"+{line}\n" for line in code.splitlines())


def edit(marks: tuple[str, str, str]) -> str:
    first, middle, last = marks
    return f"{first}\nx = 1\n{middle}\n{CODE}{last}\n"


FORMATS = {
    "indented": f"Do this:\n\n{textwrap.indent(CODE, '    ')}\nDone.\n",
    "between rules": f"== a.py ==\n{CODE}== end ==\n",
    "asciidoc": f"[source,python]\n----\n{CODE}----\n",
    "latex": f"\\begin{{lstlisting}}[language=Python]\n{CODE}\\end{{lstlisting}}\n",
    "artifact": f'<antArtifact type="code" language="python">\n{CODE}</antArtifact>',
    "cdata": f'<file path="a.py"><![CDATA[\n{CODE}]]></file>',
    "page": f'<pre><code class="language-python">{CODE.replace(chr(34), "&quot;")}</code></pre>',
    "seven dashes": f"<diff>\n{edit(('------- SEARCH', '=======', '+++++++ REPLACE'))}</diff>",
    "original and updated": "```patch a.py\n"
    + edit(("<<<<<<< ORIGINAL", "=======", ">>>>>>> UPDATED"))
    + "```",
    "magic": f"```\n%%writefile a.py\n{CODE}```",
    "json": json.dumps({"files": [{"path": "a.py", "content": CODE}]}),
    "json by name": json.dumps({"a.py": CODE}, indent=2) + "\n",
    "json after a blank line": "\n" + json.dumps([{"language": "python", "code": CODE}]),
    "json in a fence": f"Here:\n```json\n{json.dumps({'path': 'a.py', 'content': CODE})}\n```\n",
    "json in lines": f"```jsonl\n{json.dumps({'path': 'a.py', 'text': CODE})}\n{{}}\n```\n",
    "json with remarks": f'```jsonc\n// the file\n{{"a.py": {json.dumps(CODE)},}}\n```\n',
    "json after prose": f"Sure:\n\n{json.dumps({'a.py': CODE}, indent=2)}\nThat is all.\n",
    "json twice": f"{{}}\nand\n[{json.dumps({'path': 'a.py', 'content': CODE})}]\n",
    "json, then prose": json.dumps({"a.py": CODE}) + "\nThat is all.\n",
    "brackets, then a fence": f"{{{{ name }}}} is the placeholder:\n```python\n{CODE}```\n",
    "notebook": json.dumps({"cells": [{"cell_type": "code", "source": CODE.splitlines(True)}]}),
    "written by a program": "```python\nfrom pathlib import Path\n\n"
    f"Path('a.py').write_text('''{CODE}''')\n```",
    "written by open": "```python\nwith open('a.py', 'w') as file:\n"
    f"    file.write('''{CODE}''')\n```",
    "given to an agent's function": f"<code>\nwrite_file(path='a.py', content={CODE!r})\n</code>",
    "given to a function without a path": f"<code>\nsave({CODE!r})\n</code>",
    "an agent's answer": f"<code>\nfinal_answer({f'Here:{chr(10)}```python{chr(10)}{CODE}```'!r})\n"
    "</code>",
}


@pytest.mark.parametrize("text", FORMATS.values(), ids=FORMATS)
def test_code_is_found_and_whole(text: str) -> None:
    found = [item for item in carriers.in_text(text) if item.language == "python"]

    whole = [item for item in found if "os.system" in item.code and _parses(item.code)]
    assert whole and all("def convert" in item.code for item in whole)
    assert None not in {item.language for item in carriers.in_text(text)}


def _parses(code: str) -> bool:
    try:
        tree = ast.parse(textwrap.dedent(code))
    except SyntaxError:
        return False
    return any(isinstance(node, ast.FunctionDef) for node in tree.body)


DATA = {
    "settings": '{"editor.fontSize": 12, "files.exclude": {"**/.git": true}}',
    "an answer in form": '{"title": "Fix the parser", "summary": "It failed on empty input."}',
    "values": "[[1, 2], [3, 4]]",
    "a word of a tool": "<function=edit>\n<parameter=command>create</parameter>\n</function>",
}


@pytest.mark.parametrize("text", DATA.values(), ids=DATA)
def test_data_is_no_code(text: str) -> None:
    assert all(item.language in language.DATA for item in carriers.in_text(text))


def test_text_given_to_an_agents_function_is_no_code() -> None:
    said = "<code>\nfinal_answer('The sum is 3.\\nIt was 2 before.')\n</code>"
    assert len(carriers.in_text(said)) == 1


COMMANDS = (
    "pip install requests",
    "python -m build -w",
    "go test ./...",
    "git clone https://example.com/a.git && cd a",
    'export TOKEN=abc\necho "$TOKEN"',
    "DEBUG=1 flask run",
    "rm -rf build",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_in_a_fence_without_a_tag_are_commands(command: str) -> None:
    (found,) = {item.language for item in carriers.in_text(f"Run this:\n```\n{command}\n```\n")}

    assert found == "bash"


PROSE = (
    "make sure that it works\ngo on with the next step\nfind out what is wrong\nkill the process",
    ".\n├── .env\n└── foo.py",
    "please contact us through the [mailing\nlist](https://example.com/list) first.",
    "Or use <code>async def</code> there.",
)


@pytest.mark.parametrize("text", PROSE)
def test_prose_and_trees_are_no_commands(text: str) -> None:
    assert "bash" not in {item.language for item in carriers.in_text(f"```\n{text}\n```\n")}


@pytest.mark.parametrize("text", PROSE[2:])
def test_links_and_names_in_a_sentence_are_no_code(text: str) -> None:
    assert carriers.in_text(text) == ()


def test_a_session_at_a_prompt_is_read_without_its_output() -> None:
    text = "Try it:\n\n    >>> import re\n    >>> re.escape('.')\n    '[.]'\n"

    (found,) = carriers.in_text(text)

    assert (found.language, found.code.split()) == ("python", ["import", "re", "re.escape('.')"])


def test_every_file_of_an_answer_in_json_is_read() -> None:
    told = json.dumps({"files": {"a.py": CODE, "b.py": SECOND}, "note": "two files"})

    found = carriers.in_text(told)

    assert {item.path: item.code for item in found if item.path} == {"a.py": CODE, "b.py": SECOND}


def test_lines_that_are_python_are_never_taken_off_the_end() -> None:
    found = carriers.in_text("import os\n\ndef f(name):\n    pass\n(((\nos.system(name)\n")

    assert "os.system(name)" in found[0].code


FILES = json.dumps({"path": "a.py", "content": "import os\nos.system(input())\n"})


@pytest.mark.parametrize(
    "text",
    [
        f"[0, {FILES}]",
        f"[-1.5e3 , {FILES}]",
        f"[null,{FILES}]",
        f"[true, {FILES}]",
        f"[\n0,\n{FILES}\n]",
        f"{FILES[:-1]},}}",
        FILES[:-1],
        FILES[:-3],
        f"[0\n,{FILES}]",
    ],
)
def test_json_that_few_expect_or_that_breaks_off_hides_no_code(text: str) -> None:
    assert "python" in {item.language for item in carriers.in_text(text)}


@pytest.mark.parametrize(
    "text", ["[1] A citation.", "[12]: a link", "[true] or not", "[no, never]", "[1 to 3]"]
)
def test_prose_that_begins_with_a_bracket_is_not_held_for_json(text: str) -> None:
    extractor = SnippetExtractor()
    blocks = extractor.feed(f"{text}\n") + extractor.feed("More words.\n")
    assert blocks == [] and not extractor.inside
