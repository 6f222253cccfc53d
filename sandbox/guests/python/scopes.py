"""Things that `with`, `async with` and `await` give back as they are."""


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


class Awaited(Scope):
    """A scope that is also its own result."""

    def __await__(self):
        yield from ()
        return self
