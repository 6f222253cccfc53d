"""Texts made from a pattern: some on which a matcher would labour, and one that it lets pass."""

import re._parser as parser
from re import compile as compile_pattern  # as it was before the stand-ins
from re._constants import (
    ANY,
    BRANCH,
    CATEGORY,
    IN,
    LITERAL,
    MAX_REPEAT,
    MAXREPEAT,
    MIN_REPEAT,
    NEGATE,
    NOT_LITERAL,
    RANGE,
    SUBPATTERN,
)

SHORT, LONG = 44, 24_000
"""Repetitions that exponential and quadratic matching cannot get through within the fuel."""
LIMIT = 4


def pumps(pattern):
    """Texts that open like a match, go on for long, and then fail."""
    try:
        tree = parser.parse(pattern)
    except (parser.error, OverflowError, RecursionError, TypeError):
        return []
    found = []
    _walk(list(tree), "", found)
    made = []
    for prefix, piece, nested in found:
        if nested:
            made.append(prefix + piece * SHORT + "\n!")
        else:
            made.append(prefix + piece * (LONG // max(1, len(piece))) + "\n!")
    return list(dict.fromkeys(made))[:LIMIT]


def _walk(items, prefix, found):
    for operation, argument in items:
        if operation in (MAX_REPEAT, MIN_REPEAT):
            low, high, body = argument
            if high is MAXREPEAT or high > 20:
                piece = _sample(list(body)) or "a"
                found.append((prefix, piece, _loops(list(body))))
            _walk(list(body), prefix, found)
        elif operation is SUBPATTERN:
            _walk(list(argument[-1]), prefix, found)
        elif operation is BRANCH:
            for branch in argument[1]:
                _walk(list(branch), prefix, found)
        prefix += _sample([(operation, argument)])


def _loops(items):
    """Is there a choice inside that a repetition around it would multiply?"""
    for operation, argument in items:
        if operation in (MAX_REPEAT, MIN_REPEAT) and argument[1] is MAXREPEAT:
            return True
        if operation is BRANCH or (operation is SUBPATTERN and _loops(list(argument[-1]))):
            return True
    return False


def _sample(items):
    """The shortest text that the pattern's part matches, near enough."""
    text = ""
    for operation, argument in items:
        if operation is LITERAL:
            text += chr(argument)
        elif operation is NOT_LITERAL:
            text += "b" if argument == 97 else "a"
        elif operation is ANY:
            text += "a"
        elif operation is IN:
            text += _member(argument)
        elif operation in (MAX_REPEAT, MIN_REPEAT):
            low, high, body = argument
            text += _sample(list(body)) * min(max(low, 1 if high is MAXREPEAT else low), 8)
        elif operation is SUBPATTERN:
            text += _sample(list(argument[-1]))
        elif operation is BRANCH:
            text += _sample(list(argument[1][0]))
    return text


def fitting(pattern, marker, number):
    """A text that the pattern matches as a whole and that shows a marker, or an empty one."""
    try:
        made = _fitted(list(parser.parse(pattern)), [marker, marker.upper(), number])
        compiled = compile_pattern(pattern)
    except (parser.error, OverflowError, RecursionError, TypeError):
        return ""
    shows = marker in made.lower() or number in made
    return made if shows and len(made) <= 200 and compiled.search(made) else ""


def _fitted(items, marks):
    text = ""
    for operation, argument in items:
        if operation in (MAX_REPEAT, MIN_REPEAT):
            low, high, body = argument
            marked = _marked(list(body), low, high, marks)
            text += marked or _fitted(list(body), marks) * min(low, 64)
        elif operation is SUBPATTERN:
            text += _fitted(list(argument[-1]), marks)
        elif operation is BRANCH:
            text += _fitted(list(argument[1][0]), marks)
        else:
            text += _sample([(operation, argument)])
    return text


def _marked(body, low, high, marks):
    """A mark, if it may stand where one kind of character is repeated."""
    if len(body) != 1 or body[0][0] not in (IN, ANY, NOT_LITERAL):
        return ""
    for mark in marks:
        if len(mark) <= high and all(_accepts(*body[0], letter) for letter in mark):
            return mark[:1] * (low - len(mark)) + mark if mark.isalpha() else mark.zfill(low)
    return ""


def _accepts(operation, argument, letter):
    if operation is ANY:
        return letter != "\n"
    if operation is NOT_LITERAL:
        return ord(letter) != argument
    barred = argument[0][0] is NEGATE
    return barred != any(_holds(kind, value, letter) for kind, value in argument)


def _holds(kind, value, letter):
    if kind is LITERAL:
        return ord(letter) == value
    if kind is RANGE:
        return value[0] <= ord(letter) <= value[1]
    if kind is not CATEGORY:
        return False
    name = str(value)
    inside = letter.isdigit() if name.endswith("DIGIT") else letter.isalnum()
    if name.endswith("SPACE"):
        inside = letter.isspace()
    return inside != ("NOT" in name)


def _member(choices):
    operation, argument = choices[0]
    if operation is NEGATE:
        barred = {value for kind, value in choices[1:] if kind is LITERAL}
        return next(letter for letter in "ab0_!" if ord(letter) not in barred)
    if operation is RANGE:
        return chr(argument[0])
    if operation is CATEGORY:
        return {"CATEGORY_DIGIT": "0", "CATEGORY_SPACE": " "}.get(str(argument), "a")
    return chr(argument)
