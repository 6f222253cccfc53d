"""Patches in all their spellings, and texts that only look like one."""

import json

import pytest

from bluecode.defenses import carriers

CODE = "import os\nos.system(word)\n"
ADDED = "".join(f"+{line}\n" for line in CODE.splitlines())
V4A = f"*** Begin Patch\n*** Add File: a.py\n{ADDED}*** End Patch"
MAIL = (
    "From 1234567890 Mon Sep 17 00:00:00 2001\nFrom: a\nSubject: [PATCH] it's new\n\n---\n"
    " a.py | 2 ++\n\ndiff --git a/a.py b/a.py\nnew file mode 100644\nindex 000..111\n"
    f"--- /dev/null\n+++ b/a.py\n@@ -0,0 +1,2 @@\n{ADDED}-- \n2.39.0\n"
)
RENAMED = (
    "diff --git a/x.txt b/a.py\nsimilarity index 50%\nrename from x.txt\nrename to a.py\n"
    f"--- a/x.txt\n+++ b/a.py\n@@ -1 +1,2 @@\n-x\n{ADDED}"
)
MOVED = f"*** Begin Patch\n*** Update File: a.txt\n*** Move to: a.py\n@@\n{ADDED}*** End Patch"
PATCHES = {
    "v4a": V4A,
    "carriage returns": V4A.replace("\n", "\r\n"),
    "moved": MOVED,
    "new file": f"--- /dev/null\n+++ b/a.py\n@@ -0,0 +1,2 @@\n{ADDED}",
    "mail": MAIL,
    "renamed": RENAMED,
    "in javascript": f"await tools.apply_patch({json.dumps(V4A)})",
    "in a template": f"await tools.apply_patch(`{V4A}`)",
    "line by line": f"apply([{', '.join(map(json.dumps, V4A.splitlines()))}].join('\\n'))",
    "in a here-document": f"apply_patch <<'EOF'\n{V4A}\nEOF\n",
}


@pytest.mark.parametrize("patch", PATCHES.values(), ids=PATCHES)
def test_the_new_side_is_found_under_its_path(patch: str) -> None:
    arguments = json.dumps({"command": patch})
    found = [*carriers.in_input(patch), *carriers.in_arguments(arguments).snippets]
    assert ("python", "a.py", CODE) in [(item.language, item.path, item.code) for item in found]


@pytest.mark.parametrize("head", ["", "@@ -1 +1,2 @@\n", "@@ def f\n"])
def test_a_diff_needs_no_header(head: str) -> None:
    (found,) = carriers.in_text(f"```diff\n{head}-old\n{ADDED}```")
    assert (found.language, found.code, found.context) == ("python", CODE, "old")


@pytest.mark.parametrize(
    "patch",
    [
        "*** Begin Patch\n*** Delete File: a.py\n*** End Patch",
        "--- a/a.py\n+++ b/a.py\n@@ -1,2 +1 @@\n-import os\n kept\n",
        "--- a/a.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-import os\n",
    ],
)
def test_what_only_goes_is_no_snippet(patch: str) -> None:
    assert carriers.in_input(patch) == ()


def test_added_lines_do_not_pass_for_the_next_files_header() -> None:
    patch = f"--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,3 @@\n--- x\n+++ x.md\n{ADDED}"
    (found,) = carriers.in_input(patch)
    assert (found.language, found.path) == ("python", "a.py")
    assert CODE in found.code


@pytest.mark.parametrize(
    "head",
    ["--- 1\n+++ 1\n", '"""\n*** Add File: x\n"""\n', '"""\n<<<<< A\nx\n=====\ny\n>>>>> B\n"""\n'],
)
def test_a_program_that_looks_like_a_patch_is_read_as_a_program(head: str) -> None:
    carried = carriers.in_arguments(json.dumps({"path": "a.py", "content": head + CODE}))
    assert any(item.language == "python" and CODE in item.code for item in carried.snippets)


def test_code_starts_on_its_own_line_of_the_patch() -> None:
    (found,) = carriers.in_input(V4A)
    assert found.first_line == 3
