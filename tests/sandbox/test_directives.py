"""Texts that a compiler must not get, in every spelling that the language has for them."""

from __future__ import annotations

import pytest

from bluecode.sandbox.directives import TEXT_BYTES, forges, refusal

REFUSED = [
    '#include "/etc/passwd"',
    "#include </etc/passwd>",
    '#include "../secret.h"',
    "#include <a/../../b.h>",
    '#inc\\\nlude "/etc/passwd"',
    '#/* here */include "/etc/passwd"',
    '%:include "/etc/passwd"',
    '??=include "/etc/passwd"',
    '#include ??/\n"/etc/passwd"',
    "#define P </etc/passwd>\n#include P",
    '#include_next "stdio.h"',
    '#import "/etc/passwd"',
    '# embed "/etc/passwd"',
    "const char b[] = {\n#embed </etc/passwd>\n};",
    '#if __has_embed("/etc/passwd")\n#endif',
    '#if __has_include("/etc/passwd")\n#endif',
    'asm(".incbin \\"/etc/passwd\\"");',
    '__asm__ volatile ("nop");',
    'void f(void) { __a\\\nsm("nop"); }',
    '_Pragma("GCC dependency \\"/etc/passwd\\"")',
    '#pragma GCC dependency "/etc/passwd"',
    "#pragma clang module build x",
    "#pragma comment_of_mine",
    '/* */ #include "/etc/passwd"',
    'int a;\n/*\n*/ #include "/etc/passwd"',
    'R"x( " /* )x"\n#include "/etc/passwd"\n// */',
    'R"( "\n#include "/etc/passwd"\n" )"',
    "int a\0b;",
    "x" * (TEXT_BYTES + 1),
]
COMPILED = [
    "#include <stdio.h>\nint main(void) { return 0; }",
    '#include "sys/types.h" // the types\n',
    '#include <sys/stat.h>  /* and "more" */\n',
    '// #include "/etc/passwd"\n',
    '/* asm, #embed "x" */ int x;',
    'const char *t = "#include \\"/etc/passwd\\" asm";',
    '#pragma once\n#pragma GCC diagnostic ignored "-Wall"\n#pragma pack(push, 1)\n',
    "#define MAX(a, b) ((a) > (b) ? (a) : (b))\n#ifdef __unix__\n#endif\n",
    'auto t = R"(#include "/etc/passwd")";',
]


@pytest.mark.parametrize("code", REFUSED)
def test_what_reads_files_or_reaches_the_assembler_is_refused(code: str) -> None:
    assert refusal(code)


@pytest.mark.parametrize("code", COMPILED)
def test_ordinary_texts_are_compiled(code: str) -> None:
    assert refusal(code) is None


@pytest.mark.parametrize(
    "code",
    [
        "void __bluecode_at(unsigned);",
        '__attribute__((import_module("guard"), import_name("events"))) void e(void *, int);',
        '__attribute__((no_sanitize("address"))) void f(void) {}',
        "void __blue\\\ncode_at(unsigned);",
        "#define J(a, b) a##b\n",
    ],
)
def test_a_text_that_speaks_to_the_runtime_is_known(code: str) -> None:
    assert forges(code)


def test_an_ordinary_text_does_not() -> None:
    assert not forges('#include <string.h>\nvoid f(char *p) { strcpy(p, "guard"); }')
