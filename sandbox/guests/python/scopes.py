"""Things that `with`, `async with` and `await` give back as they are, and what unpacks them."""

import opcode


UNPACK = opcode.opmap["UNPACK_SEQUENCE"]
UNPACK_REST = opcode.opmap["UNPACK_EX"]


def unpacked(frame, usual):
    """How many items the code in a frame, which iterates right now, has names for."""
    code, at = frame.f_code.co_code, frame.f_lasti
    if code[at] == UNPACK:
        return code[at + 1]
    return code[at + 1] + 1 if code[at] == UNPACK_REST else usual


class Scope:
    """What can be entered, by either kind of `with`, and is left without a word."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        return False


class Done:
    """Nothing, whether it is awaited or not."""

    def __await__(self):
        yield from ()

    def __bool__(self):
        return False


class Awaited(Scope):
    """A scope that is also its own result."""

    def __await__(self):
        yield from ()
        return self
