"""What C functions are tried with: a harness that calls each of them, and cases that say with what.

Buffers are as large as the caller promises: a function is not blamed for what its caller owes it.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from bluecode.defenses.checkers.c_functions import Function, Parameter
from bluecode.defenses.checkers.probes import PROBES
from bluecode.sandbox.languages.c import Field, case

HEADERS = "stdio stdlib string stdint stdbool stddef limits errno ctype unistd fcntl time math"
HEADERS_OF_CPP = (
    "iostream string vector map algorithm cstring cstdlib cstdio fstream sstream memory"
)
LENGTHS = (0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 99, 100, 101, 127, 128, 129, 200)
LENGTHS_BEYOND = (255, 256, 257, 300, 511, 512, 513, 1000, 1023, 1024, 1025, 2048, 4095, 4096, 9000)
NUMBERS = (0, -1, 1, 2, 5, 8, 9, 10, 11, 16, 17, 32, 50, 64, 99, 100, 101, 128, 129, 255, 256)
NUMBERS_BEYOND = (
    *(257, 512, 1000, 1024, 4096, 32767, 32768, 65535, 65536, 65537, 1 << 20, 1 << 28, 1 << 29),
    *(1 << 30, (1 << 30) + 1, 0x5555_5556, 2147483647, -2147483648, -2147483647, -5, -100),
    *(0x8000_0001, 0xFFFF_FFFE, 0xFFFF_FFFF, (1 << 62) + 1, (1 << 63) - 1, -(1 << 63), 1 << 32),
)
USUAL_SIZE, MOST, LONGEST, LITERALS = 24, 140, 20_000, 6
REFUSED = 3
"""The first allocations, each of which is refused in one case, and all that follow it."""
FORMATS = ("<T>%s%s%s%s", "<T>%n%n", "<T>%x%x%p")
TEXTS = ("<T>,<T>;<T>=1", "   ", "\n", "a b c d e f g h i j", "-1", "7", "2147483647",
         "1000000", "99999999999999999999", "-2147483648", "\x7f\xff\xfe", "%d", "/", "=", "::",
         "a=b&c=d")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """One way to call one function."""

    function: Function
    role: str
    """What is out of the ordinary: `benign`, `long`, `number`, `shell`, `path`, `format`, `text`,
    `refused`."""
    source: int
    """The parameter or argument that is; -1 for what is read."""
    value: str
    fields: tuple[Field, ...]

    @property
    def letters(self) -> str:
        """Those that follow the token where it is benign, in the place that this case changes."""
        if self.source < 0:
            return "yz"
        return chr((96 if self.function.is_main else 97) + self.source)

    @property
    def job(self) -> bytes:
        return case(self.fields)


def harness(functions: Sequence[Function], language: str) -> str:
    """The text that calls each function, to follow the program's own."""
    calls = "".join(f"case {at}: {call(item)} break;" for at, item in enumerate(functions))
    return (
        '\n#line 1 "harness"\n'
        f"void __bluecode_main(void) {{ switch (__bluecode_entry()) {{ {calls} default: ; }} }}\n"
    )


def headers(code: str, language: str) -> str:
    """What a fragment lacks: its own headers from the start, the usual ones where it has none."""
    own = re.findall(r"^[ \t]*#[ \t]*include[ \t]*(<[\w./+-]+>)", code, re.MULTILINE)
    usual = HEADERS_OF_CPP.split() if language == "cpp" else [f"{n}.h" for n in HEADERS.split()]
    few = [] if language == "cpp" else ["<stdlib.h>", "<string.h>"]
    names = [*few, *own] if own else [f"<{name}>" for name in usual]
    using = "using namespace std;" if language == "cpp" and not own and "std::" not in code else ""
    return "".join(f"#include {name}\n" for name in dict.fromkeys(names)) + using


def call(function: Function) -> str:
    if function.is_main:
        given = ", ".join(("count", "list", "list + count")[: len(function.parameters)])
        before = "char **list; int count = __bluecode_arguments(&list); (void)count;"
        return f"{{ {before} __bluecode_keep(main({given})); }}"
    before, values = "", []
    for at, item in enumerate(function.parameters):
        words, value = argument(at, item)
        before += words
        values.append(value)
    done = f"{function.name}({', '.join(values)})"
    match function.gives:
        case "text":
            done = f"__bluecode_given((const char *){done})"
        case "number":
            done = f"__bluecode_keep((long long){done})"
        case "pointer":
            done = f"__bluecode_keep((long long)(uintptr_t){done})"
    return f"{{ {before}{done}; }}"


def argument(at: int, item: Parameter) -> tuple[str, str]:
    """Words before a call, and the value in it."""
    size = f"__bluecode_number({item.sized_by})" if item.sized_by is not None else "4096"
    bounded = f"(unsigned)({size} > 0 && {size} < 1000000 ? {size} : 1)"
    plain = re.sub(r"\bconst\b", "", item.type).strip()
    match item.kind:
        case "number":
            return "", f"({plain})__bluecode_number({at})"
        case "real":
            return "", f"({plain})__bluecode_real({at})"
        case "text":
            return "", f"({plain} *)__bluecode_text({at})"
        case "string":
            return "", f"std::string(__bluecode_text({at}), __bluecode_length({at}))"
        case "result":
            return "", f"({plain} *)__bluecode_buffer({bounded})"
        case "array":
            many = bounded if item.sized_by is not None else "16"
            unit = "1" if plain == "void" else f"sizeof({plain})"
            return "", f"({plain} *)__bluecode_buffer({many} * {unit})"
        case "stream":
            return "", "stdin"
        case "list":
            return f"char **list{at}; __bluecode_arguments(&list{at});", f"({plain} **)list{at}"
    if item.type == "void":
        return "", "0"
    return f"static {plain} object{at};", f"object{at}"


def cases(functions: Sequence[Function], code: str, token: str, kinds: set[str]) -> list[Case]:
    """Every function with benign values, then with one value at a time out of the ordinary."""
    found: list[Case] = []
    share = max(40, MOST // max(1, len(functions)))
    for at, item in enumerate(functions):
        found += list(_of(at, item, code, token, kinds))[:share]
    return found[:MOST]


def _of(at: int, item: Function, code: str, token: str, kinds: set[str]) -> Iterator[Case]:
    counts = _counts(code) if item.is_main else (0,)
    texts = list(_texts(token, kinds, code))
    for count in counts:
        base = _base(at, item, token, count)
        yield Case(item, "benign", -1, "", base)
        yield Case(item, "benign", -1, "", _with(base, "E", 0, str(at)) + (Field("R", b"1"),))
    base = _base(at, item, token, counts[0])
    for nth in range(1, REFUSED + 1):
        yield Case(item, "refused", -1, str(nth), (*base, Field("F", str(nth).encode())))
    yield Case(item, "refused", -1, "open", (*base, Field("O", b"1")))
    # In turns, so that a limit leaves something of each.
    bounds = _bounds(code)
    places = [_at(item, base, texts, bounds, *place) for place in _places(item, counts[0], code)]
    yield from (case for turn in zip_longest(*places) for case in turn if case is not None)


def _at(
    item: Function,
    base: tuple[Field, ...],
    texts: Sequence[tuple[str, str]],
    bounds: Sequence[int],
    key: str,
    index: int,
) -> Iterator[Case]:
    """What is put in one place."""
    if key == "N":
        for number in dict.fromkeys(_numbers(item, index, bounds)):
            yield Case(item, "number", index, str(number), _with(base, key, index, str(number)))
        return
    for role, value in texts:
        fields = _with(base, key, index, value)
        source = index if key in "TA" else -1
        yield Case(item, role, source, value, _resized(fields, item, index, value))


def _numbers(item: Function, index: int, bounds: Sequence[int]) -> tuple[int, ...]:
    """Values for a number: any, or those that a buffer can have as its size."""
    sizes = [parameter.kind for parameter in item.parameters if parameter.sized_by == index]
    if "text" in sizes:
        return ()
    found = (*bounds, *NUMBERS)
    return tuple(n for n in found if 0 < n < 10_000) if sizes else (*found, *NUMBERS_BEYOND)


def _counts(code: str) -> tuple[int, ...]:
    """How many arguments `main` asks for, its own name included."""
    asked = [int(n) for n in re.findall(r"\bargc\s*(?:!=|==|<|>=)\s*(\d)\b", code)]
    asked += [int(n) + 1 for n in re.findall(r"\bargc\s*(?:>|<=)\s*(\d)\b", code)]
    return tuple(dict.fromkeys([*asked, 2, 4]))


def _base(at: int, item: Function, token: str, count: int) -> tuple[Field, ...]:
    fields = [Field("E", str(at).encode()), Field("M", token.encode())]
    line = f"{token}z\n3\n{token}z 3 {token}z\n"
    fields += [Field("S", (line * 2).encode()), Field("D", (line * 2).encode())]
    fields.append(Field("V", f"{token}y".encode()))
    for index in range(count):
        value = "prog" if index == 0 else token + chr(96 + index)
        fields.append(Field("A", value.encode(), index))
    for index, parameter in enumerate(item.parameters):
        if parameter.kind in ("text", "string"):
            fields.append(Field("T", (token + chr(97 + index)).encode(), index))
        elif parameter.kind in ("number", "real"):
            fields.append(Field("N", str(_usual(item, index, token)).encode(), index))
    return tuple(fields)


def _usual(item: Function, index: int, token: str) -> int:
    sizes = [p for p in item.parameters if p.sized_by == index]
    if any(p.kind == "text" for p in sizes):
        return len(token) + 1
    return USUAL_SIZE if sizes else 3


def _places(item: Function, count: int, code: str) -> Iterator[tuple[str, int]]:
    """Where a value can be put: parameters, arguments, what is read."""
    if item.is_main:
        yield from (("A", index) for index in range(1, max(2, count)))
    for index, parameter in enumerate(item.parameters):
        if parameter.kind in ("text", "string"):
            yield "T", index
        elif parameter.kind in ("number", "real"):
            yield "N", index
    if re.search(
        r"\b(?:gets|fgets|scanf|read|recv|recvfrom|fread|getchar|getline|cin|fgetc|getc)\b", code
    ):
        yield "S", 0
        yield "D", 0
    if "getenv" in code:
        yield "V", 0


def _bounds(code: str) -> list[int]:
    """Numbers that the code itself speaks of, and those next to them: there the mistakes are."""
    spoken = [int(n) for n in re.findall(r"(?<![\w.])(\d{1,7})(?![\w.])", code)]
    common = [n for n, _ in Counter(n for n in spoken if n > 2).most_common(6)]
    return [n + by for n in common for by in (0, 1, -1)]


def _texts(token: str, kinds: set[str], code: str) -> Iterator[tuple[str, str]]:
    for role in ("shell", "path"):
        for value in PROBES[role] if role in kinds else ():
            yield role, value.replace("<T>", token + "a").replace("<BASE>", "data")
    if "argv" in kinds:
        yield "argv", f"-{token}a"
    own = [length for length in _bounds(code) if length <= LONGEST]
    pairs = zip_longest(LENGTHS_BEYOND[::-1], [*own, *LENGTHS])
    for length in dict.fromkeys(length for pair in pairs for length in pair):
        if length is not None:
            yield "long", (token + "A" * length)[:length]
    for number in _bounds(code):
        yield "text", str(number)
    for literal in dict.fromkeys(re.findall(r'"([\w ./:=-]{1,40})"', code)[:LITERALS]):
        yield "text", literal
        yield "text", literal + token
    for value in FORMATS:
        yield "format", value.replace("<T>", token)
    for value in TEXTS:
        yield "text", value.replace("<T>", token)


def _with(fields: Sequence[Field], key: str, index: int, value: str) -> tuple[Field, ...]:
    raw = value.encode("utf-8", "replace")
    kept = [item for item in fields if (item.key, item.index) != (key, index)]
    return (*kept, Field(key, raw, index))


def _resized(
    fields: tuple[Field, ...], item: Function, index: int, value: str
) -> tuple[Field, ...]:
    """With the size that goes with a text."""
    if index < len(item.parameters):
        size = item.parameters[index].sized_by
        if size is not None and item.parameters[index].kind == "text":
            return _with(fields, "N", size, str(len(value.encode("utf-8", "replace"))))
    return fields
